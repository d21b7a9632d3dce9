import json

import pytest

from ops.views import csp_report


@pytest.fixture
def post(rf):
    def post(body):
        return csp_report(rf.post("/", body, content_type="application/csp-report"))

    return post


def test_blocked_resource_is_logged(post, caplog):
    report = {
        "blocked-uri": "https://cdn.example.com/x.js",
        "document-uri": "http://localhost:8000/",
        "violated-directive": "script-src-elem",
    }

    assert post(json.dumps({"csp-report": report})).status_code == 204
    assert "blocked https://cdn.example.com/x.js" in caplog.text


@pytest.mark.parametrize("body", ["", "[]", '{"csp-report": {}}', '{"csp-report": 1}'])
def test_invalid_report_is_refused(post, body):
    assert post(body).status_code == 400

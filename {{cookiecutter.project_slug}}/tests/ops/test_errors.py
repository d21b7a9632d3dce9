import logging

import pytest
import sentry_sdk
from django.apps import apps

from ops.errors import prepare_event
from ops.logs import request_id

HIDDEN = "********************"


@pytest.fixture(autouse=True)
def outside_of_requests():
    """Hide the id of the request that an earlier test has made."""
    token = request_id.set("")
    yield
    request_id.reset(token)


@pytest.fixture
def started(monkeypatch):
    """Return the options of each start of the SDK, which does not start."""
    started = []
    monkeypatch.setattr(sentry_sdk, "init", lambda **options: started.append(options))
    return started


def test_errors_are_tracked_if_there_is_a_dsn(settings, started):
    settings.SENTRY_DSN = "https://key@sentry.example.com/1"

    apps.get_app_config("ops").ready()

    assert [options["dsn"] for options in started] == [settings.SENTRY_DSN]


def test_errors_are_not_tracked_without_a_dsn(settings, started):
    settings.SENTRY_DSN = None

    apps.get_app_config("ops").ready()

    assert started == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://:hunter2@cache/0 is down", f"redis://{HIDDEN}@cache/0 is down"),
        ("netloc='ada:hunter2@mail'", f"netloc='{HIDDEN}@mail'"),
        ("page=2&api_key=hunter2&q=x", f"page=2&api_key={HIDDEN}&q=x"),
        ("host=db password=hunter2 port=1", f"host=db password={HIDDEN} port=1"),
        ("{'token': 'hunter 2'}", "{'token': " + HIDDEN + "}"),
        ("KeyError: 'name'", "KeyError: 'name'"),
        ("http://localhost:8000/a:b", "http://localhost:8000/a:b"),
    ],
)
def test_secrets_in_texts_are_hidden(text, expected):
    event = {"exception": {"values": [{"value": text}]}}

    assert prepare_event(event, {})["exception"]["values"][0]["value"] == expected


def test_secrets_are_hidden_by_their_names():
    event = {
        "extra": {"new_password": "hunter2", "page": 2},
        "request": {"headers": {"x-api-key": "hunter2", "referer": "/?hunter2"}},
        "modules": {"django-allauth": "65"},
    }

    sent = prepare_event(event, {})

    assert sent["extra"] == {"new_password": HIDDEN, "page": 2}
    assert sent["request"]["headers"] == {"x-api-key": HIDDEN}
    assert sent["modules"] == {"django-allauth": "65"}


def test_source_code_is_not_changed():
    frame = {"context_line": "def view(request, key=None):"}

    assert prepare_event({"exception": dict(frame)}, {}) == {"exception": frame}


def test_key_in_a_path_is_hidden():
    event = {"transaction": "/reset/{key}/", "request": {"url": "/reset/hunter2/"}}

    assert prepare_event(event, {})["request"]["url"] == "/reset/{key}/"


def test_event_has_the_id_of_its_request():
    request_id.set("0123456789")

    assert prepare_event({}, {})["tags"] == {"request_id": "0123456789"}


def test_failed_task_is_sent_once():
    record = logging.makeLogRecord({"event": "task_failed"})

    assert prepare_event({}, {"log_record": record}) is None

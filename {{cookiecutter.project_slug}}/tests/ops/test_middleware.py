import json
import logging
from io import StringIO

import pytest
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.urls import path
from django.views.debug import get_exception_reporter_filter
from pythonjsonlogger.json import JsonFormatter

from ops.middleware import warn_of_untrusted_proxy

SECRET = "the-key-in-a-link"


def log(request):
    logging.getLogger("notes").info("A view logs.")
    return HttpResponse()


def fail(request, token):
    raise ZeroDivisionError


def deny(request):
    raise PermissionDenied


def greet(request):
    return HttpResponse(f"Hello {request.POST['name']}")


urlpatterns = [
    path("log/", log),
    path("greet/", greet),
    path("fail/<token>/", fail),
    path("deny/", deny),
]


@pytest.fixture
def get_log(monkeypatch):
    """Return a function that returns all log records so far, formatted as JSON."""
    (handler,) = (h for h in logging.getLogger().handlers if h.name == "output")
    stream = StringIO()
    monkeypatch.setattr(handler, "stream", stream)
    monkeypatch.setattr(handler, "formatter", JsonFormatter(["name", "message"]))
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def get(client, settings):
    """Return a function that requests one of the pages above."""
    settings.ROOT_URLCONF = __name__
    client.raise_request_exception = False
    return client.get


def test_request_is_logged_in_one_line(get, get_log):
    get("/log/?q=books")
    _, line = get_log()

    assert line.pop("ms") >= 0
    assert line.pop("request_id")
    assert line == {
        "name": "ops.middleware",
        "message": line["message"],
        "method": "GET",
        "path": "/log/",
        "status_code": 200,
        "user_id": None,
    }


def test_log_lines_have_the_request_id_of_the_response(get, get_log):
    first, second = (get("/log/").headers["X-Request-ID"] for _ in range(2))

    assert first != second
    assert [line["request_id"] for line in get_log()] == [first, first, second, second]


@pytest.mark.parametrize(
    ("given", "port", "is_accepted"),
    [
        ("0f9c4cd1-8aab-4f3f", 0, True),
        ("0f9c4cd1-8aab-4f3f", 41_000, False),
        ("short", 0, False),
        ("long" * 20, 0, False),
        ("with a space", 0, False),
        ("", 0, False),
    ],
)
def test_request_id_of_a_trusted_proxy_is_accepted(get, given, port, is_accepted):
    headers = {"X-Request-ID": given}

    response = get("/log/", headers=headers, REMOTE_PORT=port)

    assert (response.headers["X-Request-ID"] == given) is is_accepted


@pytest.mark.django_db
def test_user_id_is_logged(admin_client, admin_user, get_log):
    admin_client.get("/admin/")

    assert get_log()[-1]["user_id"] == str(admin_user.pk)
    assert get_log()[-1]["message"].endswith(f"for user {admin_user.pk}")


def test_logging_makes_no_query(get, get_log, settings):
    # A query would fail, since this test has no database.
    get("/log/", headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}={'a' * 32}"})

    assert get_log()[-1]["user_id"] is None


def test_exception_is_logged_once(get, get_log):
    response = get("/fail/now/")
    exception, request = get_log()

    assert exception["exc_info"].endswith("ZeroDivisionError")
    assert request["status_code"] == response.status_code == 500
    assert exception["request_id"] == request["request_id"]


def test_error_status_is_logged_once(get, get_log):
    get("/nowhere/")

    assert [(line["path"], line["status_code"]) for line in get_log()] == [
        ("/nowhere/", 404)
    ]


def test_reason_of_a_403_is_logged(get, get_log):
    get("/deny/")
    reason, request = get_log()

    assert reason["message"] == "Forbidden (Permission denied): /deny/"
    assert request["status_code"] == 403


@pytest.mark.parametrize("address", [f"/fail/{SECRET}/", f"/fail/{SECRET}"])
@pytest.mark.parametrize("is_redirected", [False, True])
def test_secret_in_the_path_is_not_logged(
    get, get_log, settings, address, is_redirected
):
    settings.SECURE_SSL_REDIRECT = is_redirected

    get(address)

    assert get_log()[-1]["path"] == "/fail/<token>/"
    assert SECRET not in json.dumps(get_log())


def test_line_break_in_the_path_is_escaped(get, get_log):
    get("/nowhere%0Aelse")

    assert [line["path"] for line in get_log()] == ["/nowhere%0Aelse"]


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
@pytest.mark.django_db(transaction=True)
def test_health_checks_are_not_logged(client, get_log, path):
    assert client.get(path).status_code == 200
    assert get_log() == []


def test_failed_health_check_is_logged(client, get_log, monkeypatch):
    monkeypatch.setattr("ops.health.CHECKS", {"cache": lambda: "cache"})

    client.get("/readyz")

    assert [line["message"] for line in get_log()] == ["Service Unavailable: /readyz"]


def test_every_response_has_the_extra_headers(get, settings):
    for address in ("/log/", "/log", "/nowhere/", "/fail/now/", "/static/site.css"):
        headers = get(address).headers
        assert settings.EXTRA_HEADERS.items() <= dict(headers).items(), address


@pytest.mark.parametrize(
    "kind",
    ["application/x-www-form-urlencoded", "multipart/form-data; boundary=X"],
)
@pytest.mark.parametrize(
    ("charset", "status"),
    [("utf-8", 200), ("UTF8", 200), ("unknown", 200), ("latin-1", 400), ("rot13", 400)],
)
def test_forms_are_read_in_utf_8_only(client, settings, kind, charset, status):
    settings.ROOT_URLCONF = __name__
    body = {
        "application": "name=Zo%C3%AB",
        "multipart": (
            '--X\r\nContent-Disposition: form-data; name="name"\r\n\r\nZoë\r\n--X--\r\n'
        ),
    }[kind.partition("/")[0]]

    kind = f"{kind}; charset={charset}"
    response = client.generic("POST", "/greet/", body.encode(), kind)

    assert response.status_code == status
    assert (response.text == "Hello Zoë") == (status == 200)


def test_static_file_is_logged_with_its_path(get, get_log, settings):
    settings.REQUEST_LOG_EXCLUDE = ()

    get("/static/site.css")

    assert get_log()[-1]["path"] == "/static/site.css"


def test_paths_can_be_excluded_from_the_log(get, get_log, settings):
    settings.REQUEST_LOG_EXCLUDE = ("/log/",)

    get("/log/")
    get("/deny/")

    assert "/log/" not in [line.get("path") for line in get_log()]
    assert get_log()[-1]["path"] == "/deny/"


def test_debug_page_hides_passwords_in_urls(settings):
    settings.CACHES = {"default": {"LOCATION": "redis://:secret@localhost"}}
    settings.STORAGE_URL = "https://key:secret@s3.example.com/bucket"

    shown = get_exception_reporter_filter(None).get_safe_settings()

    assert settings.SECRET_KEY not in str(shown)
    assert "secret@" not in str(shown)
    assert shown["TIME_ZONE"] == settings.TIME_ZONE


def test_untrusted_proxy_is_logged_once(get, get_log):
    warn_of_untrusted_proxy.cache_clear()
    headers = {"X-Forwarded-Proto": "https"}

    for _ in range(2):
        get("/log/", headers=headers, REMOTE_ADDR="10.1.2.3")
    get("/log/", headers=headers, secure=True)

    warnings = [line for line in get_log() if "not trusted" in line["message"]]
    assert len(warnings) == 1
    assert "10.1.2.3" in warnings[0]["message"]

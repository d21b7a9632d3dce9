import json
import logging
from io import StringIO

import pytest
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.urls import path
from django.views.debug import get_exception_reporter_class
from pythonjsonlogger.json import JsonFormatter

SECRET = "a-secret-of-somebodys"


def note(request):
    logging.getLogger("notes").info("A note is read.")
    return HttpResponse()


def fail(request, token):
    raise ZeroDivisionError


def forbid(request):
    raise PermissionDenied


urlpatterns = [
    path("note/", note),
    path("fail/<token>/", fail),
    path("forbid/", forbid),
]


@pytest.fixture
def log(monkeypatch):
    """Return a function that returns what was logged so far, as in production."""
    (handler,) = (h for h in logging.getLogger().handlers if h.name == "output")
    stream = StringIO()
    monkeypatch.setattr(handler, "stream", stream)
    monkeypatch.setattr(handler, "formatter", JsonFormatter(["name", "message"]))
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def ask(client, settings):
    """Return a function that asks for a page of the ones above."""
    settings.ROOT_URLCONF = __name__
    client.raise_request_exception = False
    return client.get


def test_a_request_is_one_line(ask, log):
    ask("/note/?q=books")
    _, line = log()

    assert line.pop("ms") >= 0
    assert line.pop("request_id")
    assert line == {
        "name": "pages.middleware",
        "message": line["message"],
        "method": "GET",
        "path": "/note/",
        "status": 200,
        "user_id": None,
    }


def test_all_that_a_request_logs_has_the_id_that_its_response_has(ask, log):
    first, second = (ask("/note/").headers["X-Request-ID"] for _ in range(2))

    assert first != second
    assert [line["request_id"] for line in log()] == [first, first, second, second]


@pytest.mark.parametrize(
    ("given", "port", "is_taken"),
    [
        ("0f9c4cd1-8aab-4f3f", 0, True),
        ("0f9c4cd1-8aab-4f3f", 41_000, False),
        ("short", 0, False),
        ("long" * 20, 0, False),
        ("with a space", 0, False),
        ("", 0, False),
    ],
)
def test_an_id_is_taken_from_a_proxy_that_uvicorn_trusts(ask, given, port, is_taken):
    headers = {"X-Request-ID": given}

    response = ask("/note/", headers=headers, REMOTE_PORT=port)

    assert (response.headers["X-Request-ID"] == given) is is_taken


@pytest.mark.django_db
def test_who_is_logged_in_stands_in_the_line(admin_client, admin_user, log):
    admin_client.get("/admin/")

    assert log()[-1]["user_id"] == str(admin_user.pk)
    assert log()[-1]["message"].endswith(f"for user {admin_user.pk}")


def test_the_line_makes_no_query(ask, log, settings):
    # A query would fail, for this test has no database.
    ask("/note/", headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}={'a' * 32}"})

    assert log()[-1]["user_id"] is None


def test_an_exception_is_logged_once_and_its_request_as_well(ask, log):
    response = ask("/fail/now/")
    exception, request = log()

    assert exception["exc_info"].endswith("ZeroDivisionError")
    assert request["status"] == response.status_code == 500
    assert exception["request_id"] == request["request_id"]


def test_an_error_without_an_exception_is_the_line_alone(ask, log):
    ask("/nowhere/")

    assert [(line["path"], line["status"]) for line in log()] == [("/nowhere/", 404)]


def test_why_something_is_forbidden_is_logged_too(ask, log):
    ask("/forbid/")
    reason, request = log()

    assert reason["message"] == "Forbidden (Permission denied): /forbid/"
    assert request["status"] == 403


@pytest.mark.parametrize("address", [f"/fail/{SECRET}/", f"/fail/{SECRET}"])
@pytest.mark.parametrize("is_redirected", [False, True])
def test_a_secret_in_the_path_is_not_logged(ask, log, settings, address, is_redirected):
    settings.SECURE_SSL_REDIRECT = is_redirected

    ask(address)

    assert log()[-1]["path"] == "/fail/<token>/"
    assert SECRET not in json.dumps(log())


def test_a_line_break_in_the_path_starts_no_line(ask, log):
    ask("/nowhere%0Aelse")

    assert [line["path"] for line in log()] == ["/nowhere%0Aelse"]


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
@pytest.mark.django_db(transaction=True)
def test_who_asks_whether_the_site_is_up_leaves_no_line(client, log, path):
    assert client.get(path).status_code == 200
    assert log() == []


def test_what_is_wrong_at_readyz_is_logged(client, log, monkeypatch):
    monkeypatch.setattr("pages.health.CHECKS", {"cache": lambda: "cache"})

    client.get("/readyz")

    assert [line["message"] for line in log()] == ["Service Unavailable: /readyz"]


def test_every_response_has_the_headers_that_django_has_no_settings_for(ask, settings):
    for address in ("/note/", "/note", "/nowhere/", "/fail/now/", "/static/site.css"):
        headers = ask(address).headers
        assert settings.EXTRA_HEADERS.items() <= dict(headers).items(), address


def test_the_page_for_an_error_hides_secrets(rf, settings, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://ada:p%26ss-word@localhost/notes")
    secrets = [settings.SECRET_KEY, "p&ss-word"]
    settings.DEBUG = True

    try:
        raise ValueError(secrets, "at localhost")
    except ValueError as error:
        exception = (type(error), error, error.__traceback__)
    reporter = get_exception_reporter_class(rf.get("/"))(rf.get("/"), *exception)

    for page in (reporter.get_traceback_html(), reporter.get_traceback_text()):
        assert "at localhost" in page
        assert settings.SECRET_KEY not in page
        assert "ss-word" not in page

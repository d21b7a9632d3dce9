"""The API, over HTTP."""

from http import HTTPStatus

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from allauth.usersessions.models import UserSession
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from conftest import PASSWORD

#: if cookiecutter.api == "drf"
ITEMS = "results"
INVALID = HTTPStatus.BAD_REQUEST
#: else
ITEMS = "items"
INVALID = HTTPStatus.UNPROCESSABLE_ENTITY
#: endif
ME = "/api/v1/me/"
SESSIONS = "/api/v1/sessions/"
LOGIN = "/_allauth/app/v1/auth/login"
SECOND_FACTOR = "/_allauth/app/v1/auth/2fa/authenticate"
JSON = "application/json"

pytestmark = pytest.mark.django_db


def log_in(client, password=PASSWORD):
    """Log in as a program does; return the response."""
    credentials = {"email": "ada@example.com", "password": password}
    return client.post(LOGIN, credentials, content_type=JSON)


@pytest.fixture
def token(ada):
    """Return the headers of a program that has logged in as Ada."""
    token = log_in(Client()).json()["meta"]["session_token"]
    return {"X-Session-Token": token}


def change(client, headers=None, **fields):
    return client.patch(ME, fields, content_type=JSON, headers=headers)


def assert_problem(response, status):
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["title"] == HTTPStatus(status).phrase
    return problem


def test_me_with_a_token(client, token):
    response = client.get(ME, headers=token)

    assert response.status_code == HTTPStatus.OK
    assert response.json() == {
        "email": "ada@example.com",
        "first_name": "",
        "last_name": "",
    }


def test_me_with_the_session_of_the_site(client, ada):
    client.force_login(ada)

    assert client.get(ME).json()["email"] == "ada@example.com"


def test_change_of_the_name(client, token, ada):
    response = change(client, token, first_name="Ada")

    assert response.status_code == HTTPStatus.OK
    assert response.json()["first_name"] == "Ada"
    ada.refresh_from_db()
    assert ada.first_name == "Ada"


def test_email_address_is_not_changed(client, token, ada):
    change(client, token, email="eve@example.com")

    ada.refresh_from_db()
    assert ada.email == "ada@example.com"


def test_change_with_a_session_requires_the_csrf_token(ada):
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)
    assert_problem(change(client, first_name="Ada"), HTTPStatus.FORBIDDEN)

    client.get(reverse("account_change_password"))
    csrf = {"X-CSRFToken": client.cookies["csrftoken"].value}

    assert change(client, csrf, first_name="Ada").status_code == HTTPStatus.OK


def test_change_with_a_token_requires_no_csrf_token(token):
    client = Client(enforce_csrf_checks=True)

    assert change(client, token, first_name="Ada").status_code == HTTPStatus.OK


@pytest.mark.parametrize("headers", [{}, {"X-Session-Token": "wrong"}])
@pytest.mark.parametrize("method", ["get", "patch"])
def test_anonymous_requests_are_rejected(headers, method):
    client = Client(enforce_csrf_checks=True)

    response = getattr(client, method)(ME, headers=headers)

    assert_problem(response, HTTPStatus.UNAUTHORIZED)
    assert "WWW-Authenticate" in response.headers


def test_token_ends_with_the_session(client, token):
    client.delete("/_allauth/app/v1/auth/session", headers=token)

    assert_problem(client.get(ME, headers=token), HTTPStatus.UNAUTHORIZED)


def test_token_requires_the_second_factor(client, ada):
    TOTP.activate(ada, "JBSWY3DPEHPK3PXP")
    code = RecoveryCodes.activate(ada).get_unused_codes()[0]

    response = log_in(client)
    headers = {"X-Session-Token": response.json()["meta"]["session_token"]}
    assert response.status_code == HTTPStatus.UNAUTHORIZED
    assert_problem(client.get(ME, headers=headers), HTTPStatus.UNAUTHORIZED)

    response = client.post(
        SECOND_FACTOR, {"code": code}, content_type=JSON, headers=headers
    )
    headers = {"X-Session-Token": response.json()["meta"]["session_token"]}
    assert client.get(ME, headers=headers).status_code == HTTPStatus.OK


def test_login_is_rate_limited(client, ada):
    for number in range(5):
        log_in(client, f"guess {number}")

    assert "Too many failed" in log_in(client).json()["errors"][0]["message"]


def test_invalid_values_are_named(client, token):
    problem = assert_problem(change(client, token, first_name="x" * 151), INVALID)

    (error,) = problem["errors"]
    assert error["pointer"] == "#/first_name"
    assert "150" in error["detail"]


#: if cookiecutter.api == "django-ninja"
def test_invalid_parameters_are_named(client, token):
    problem = assert_problem(client.get(f"{SESSIONS}?limit=x", headers=token), INVALID)

    assert problem["errors"][0]["parameter"] == "limit"


#: endif
@pytest.mark.parametrize("value", [None, "a\0b", ["Ada"]])
def test_values_that_the_database_cannot_store_are_rejected(client, token, value):
    assert_problem(change(client, token, first_name=value), INVALID)


def test_body_that_is_not_json_is_rejected(client, token):
    response = client.patch(ME, "{", content_type=JSON, headers=token)

    assert_problem(response, HTTPStatus.BAD_REQUEST)


def test_sessions_are_listed_in_pages(client, token, ada):
    for number in range(2):
        UserSession.objects.create(user=ada, ip="127.0.0.1", session_key=number)
    other = get_user_model().objects.create_user("eve@example.com")
    UserSession.objects.create(user=other, ip="127.0.0.1", session_key="other")

    page = client.get(SESSIONS, {"limit": 2, "offset": 2}, headers=token).json()

    assert page["count"] == 3
    (first,) = page[ITEMS]
    assert first["ip"] == "127.0.0.1"
    assert "session_key" not in first


def test_offset_that_the_database_cannot_use(client, token):
    response = client.get(SESSIONS, {"offset": 10**30}, headers=token)

    assert response.status_code in {HTTPStatus.OK, INVALID}


def test_requests_of_a_user_are_throttled(client, token):
    for _ in range(100):
        assert client.get(ME, headers=token).status_code == HTTPStatus.OK

    response = client.get(ME, headers=token)

    assert_problem(response, HTTPStatus.TOO_MANY_REQUESTS)
    assert 0 < int(response.headers["Retry-After"]) <= 60


def test_missing_url(client):
    assert_problem(client.get("/api/v1/nothing/"), HTTPStatus.NOT_FOUND)


def test_method_that_is_not_allowed(client, token):
    response = client.delete(ME, headers=token)

    assert_problem(response, HTTPStatus.METHOD_NOT_ALLOWED)
    assert "PATCH" in response.headers["Allow"]


def test_unexpected_error(token, monkeypatch):
    def fail(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(get_user_model(), "save", fail)
    client = Client(raise_request_exception=False)

    response = change(client, token, first_name="Ada")

    assert_problem(response, HTTPStatus.INTERNAL_SERVER_ERROR)


def test_schema_documents_the_endpoints_and_their_problems(client):
    schema = client.get("/api/v1/openapi.json").json()

    assert set(schema["paths"]) >= {ME, SESSIONS}
    for operation in schema["paths"][ME].values():
        assert "application/problem+json" in str(operation["responses"]["default"])
        assert operation["security"]


def test_documentation(client):
    page = client.get("/api/v1/docs")

    assert "swagger-ui-bundle.js" in page.text
    assert "https://" not in page.text

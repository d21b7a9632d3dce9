"""Accounts: sign-up, log-in, password reset, second factor and closing."""

import re
from http import HTTPStatus

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.conf import settings
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.auth import get_user, get_user_model
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core import mail
from django.db.models import DO_NOTHING, PROTECT, RESTRICT
from django.test import Client
from django.urls import reverse

from conftest import PASSWORD

User = get_user_model()
pytestmark = pytest.mark.django_db


def send(client, page, **fields):
    """Submit the form of a page; return the page that follows."""
    return client.post(reverse(page), fields, follow=True)


def log_in(client, password=PASSWORD, **fields):
    return send(client, "account_login", login="ada@example.com", password=password)


def code_in(message):
    return re.search(r"^\w{4}-\w{4}$", message.body, re.MULTILINE)[0]


def test_sign_up_requires_the_code_from_the_email(client):
    passwords = {"password1": PASSWORD, "password2": PASSWORD}
    send(client, "account_signup", email="grace@example.com", **passwords)
    assert get_user(client).is_anonymous

    send(client, "account_email_verification_sent", code=code_in(mail.outbox[0]))

    assert get_user(client).email == "grace@example.com"


def test_email_has_text_and_html_and_the_name_of_the_site(client, ada):
    send(client, "account_reset_password", email=ada.email)

    (message,) = mail.outbox
    ((html, kind),) = message.alternatives
    link = re.search(r"http://testserver/\S+", message.body)[0]
    assert message.subject == f"[{settings.SITE['name']}] Password Reset Email"
    assert message.from_email == settings.DEFAULT_FROM_EMAIL
    assert kind == "text/html"
    assert f'href="{link}"' in html


def test_remember_me_keeps_the_session_when_the_browser_is_closed(client, ada):
    for remember, is_expired in ("on", False), ("", True):
        fields = {"login": ada.email, "password": PASSWORD, "remember": remember}
        send(client, "account_login", **fields)

        assert client.session.get_expire_at_browser_close() is is_expired
        client.logout()


def test_password_reset(client, ada):
    send(client, "account_reset_password", email=ada.email)
    link = re.search(r"http://testserver(\S+)", mail.outbox[0].body)[1]
    form = client.get(link, follow=True).redirect_chain[-1][0]
    new = "staple of the horse"

    client.post(form, {"password1": new, "password2": new})

    assert "not correct" in log_in(client).text
    log_in(client, new)
    assert get_user(client) == ada


def test_new_address_replaces_the_old_one_when_it_is_verified(client, ada):
    log_in(client)
    change = {"email": "ada@example.org", "action_add": ""}
    send(client, "account_email", **change)
    send(client, "account_reauthenticate", password=PASSWORD)
    send(client, "account_email", **change)
    ada.refresh_from_db()
    assert ada.email == "ada@example.com"

    send(client, "account_email_verification_sent", code=code_in(mail.outbox[-1]))

    ada.refresh_from_db()
    assert ada.email == "ada@example.org"


def test_user_added_in_the_admin_verifies_the_address_at_login(client):
    User.objects.create_user("ada@example.com", PASSWORD)

    log_in(client)
    assert get_user(client).is_anonymous
    send(client, "account_email_verification_sent", code=code_in(mail.outbox[0]))

    assert get_user(client).email == "ada@example.com"


def test_login_requires_the_second_factor(client, ada):
    TOTP.activate(ada, "JBSWY3DPEHPK3PXP")
    codes = RecoveryCodes.activate(ada).get_unused_codes()

    log_in(client)
    assert get_user(client).is_anonymous
    send(client, "mfa_authenticate", code="000000")
    assert get_user(client).is_anonymous

    send(client, "mfa_authenticate", code=codes[0])
    assert get_user(client) == ada


def test_other_sessions_are_ended(client, ada):
    other_client = Client()
    log_in(other_client)
    log_in(client)

    page = send(client, "usersessions_list")

    assert 'aria-current="page">Sessions</a>' in page.text
    assert get_user(client) == ada
    assert get_user(other_client).is_anonymous


def test_account_is_closed_after_the_password_was_entered(client, ada):
    log_in(client)
    send(client, "account_close")
    send(client, "account_reauthenticate", password="wrong horse battery")
    assert User.objects.filter(pk=ada.pk).exists()

    send(client, "account_reauthenticate", password=PASSWORD)
    assert (
        client.get(reverse("account_close")).templates[0].name == "account/close.html"
    )
    page = send(client, "account_close")

    assert "Your account is closed." in page.text
    assert get_user(client).is_anonymous
    assert not User.objects.filter(pk=ada.pk).exists()


def test_login_is_rate_limited(client, ada):
    for number in range(5):
        assert "not correct" in log_in(client, f"guess {number}").text

    assert "Too many failed" in log_in(client).text
    assert get_user(client).is_anonymous


@pytest.mark.parametrize("page", ["account_signup", "account_reset_password"])
def test_forms_are_rate_limited(client, page):
    for number in range(20):
        sent = client.post(reverse(page), {"email": f"user{number}@example.com"})
        assert sent.status_code != HTTPStatus.TOO_MANY_REQUESTS

    response = send(client, page, email="user20@example.com")

    assert response.status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert "429.html" in [template.name for template in response.templates]


@pytest.mark.parametrize(
    ("page", "fields"),
    [
        ("account_login", {"login": "{}", "password": "wrong horse battery"}),
        (
            "account_signup",
            {"email": "{}", "password1": PASSWORD, "password2": PASSWORD},
        ),
        ("account_reset_password", {"email": "{}"}),
    ],
)
def test_responses_are_the_same_for_known_and_unknown_addresses(
    ada, settings, monkeypatch, page, fields
):
    # Hashing takes most of the time. It must be done for both addresses, or for none.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
    ada.set_password(PASSWORD)
    ada.save()
    hashed = []
    for name in ("encode", "verify"):
        method = getattr(Argon2PasswordHasher, name)
        monkeypatch.setattr(Argon2PasswordHasher, name, counted(method, hashed))

    def get_response(email):
        hashed.clear()
        mail.outbox.clear()
        form = {name: value.format(email) for name, value in fields.items()}
        response = send(Client(), page, **form)
        random = r'\b\w{64}\b|nonce=".+?"'
        text = re.sub(random, "", response.text).replace(email, "")
        return (
            *(response.redirect_chain, text, response.headers.keys()),
            *(response.cookies.keys(), len(hashed), len(mail.outbox)),
        )

    assert get_response("ada@example.com") == get_response("bob@example.com")


def counted(method, calls):
    def call(*args, **kwargs):
        calls.append(args)
        return method(*args, **kwargs)

    return call


@pytest.mark.django_db(transaction=True)  # The database checks DO_NOTHING at the end.
@pytest.mark.parametrize("on_delete", [PROTECT, RESTRICT, DO_NOTHING])
def test_account_that_other_data_depends_on_is_not_closed(
    client, ada, monkeypatch, on_delete
):
    log_in(client)
    send(client, "account_close")
    send(client, "account_reauthenticate", password=PASSWORD)
    relation = EmailAddress._meta.get_field("user").remote_field
    monkeypatch.setattr(relation, "on_delete", on_delete)

    page = send(client, "account_close")

    assert "cannot be closed" in page.text
    assert get_user(client) == ada
    assert ada.emailaddress_set.exists()
    assert ada.usersession_set.exists()


def test_account_with_entries_in_the_log_of_the_admin_is_not_closed(client, ada):
    LogEntry.objects.create(user=ada, action_flag=DELETION, object_repr="a note")
    log_in(client)
    send(client, "account_close")
    send(client, "account_reauthenticate", password=PASSWORD)

    page = send(client, "account_close")

    assert "cannot be closed" in page.text
    assert LogEntry.objects.exists()


def test_data_is_downloaded_after_the_password_was_entered(client, ada):
    log_in(client)
    send(client, "account_data")
    send(client, "account_reauthenticate", password=PASSWORD)
    assert client.get(reverse("account_data")).templates[0].name == "account/data.html"

    response = client.post(reverse("account_data"))

    assert response.headers["Content-Type"] == "application/json"
    assert "attachment" in response.headers["Content-Disposition"]
    assert response.json()[0]["fields"]["email"] == "ada@example.com"


@pytest.mark.parametrize("method", ["get", "post"])
def test_data_is_not_downloaded_without_the_password(client, ada, method):
    client.force_login(ada)

    response = getattr(client, method)(reverse("account_data"))

    assert response.headers["Location"].startswith(reverse("account_reauthenticate"))

"""The download of a user's data: all that refers to the user, and no secret."""

import json
import re

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Field

from accounts.data import EXCLUDED, get_data, get_fields, get_references

User = get_user_model()
SECRET = re.compile(
    r"(?i)pass|secret|token|hash|seed|credential|(^|_)(key|code|data)s?$"
)

# Fields in the download that the pattern above matches, but that are not secret.
NOT_SECRET = set()


def download(user):
    """Return the rows of a download by model."""
    rows = {}
    for row in json.loads(json.dumps(get_data(user), cls=DjangoJSONEncoder)):
        rows.setdefault(row["model"], []).append(row["fields"])
    return rows


def test_every_reference_to_users_is_followed_or_excluded():
    references = {
        str(field)
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, Field) and field.is_relation
        if field.related_model is User and model is not User
    }

    assert {str(field) for field in get_references()} == references - set(EXCLUDED)


def test_excluded_fields_exist():
    for name in EXCLUDED:
        model, _, field = name.rpartition(".")
        assert apps.get_model(model)._meta.get_field(field)


def test_no_field_in_the_download_looks_like_a_secret():
    models = {User, *(field.model for field in get_references())}
    fields = {str(field) for model in models for field in get_fields(model)}

    suspects = {name for name in fields if SECRET.search(name.rpartition(".")[2])}

    assert suspects == NOT_SECRET, "Add these fields to EXCLUDED, or to NOT_SECRET."


def test_download_has_the_rows_of_the_user_only(ada):
    ada.groups.create(name="Editors")
    ada.usersession_set.create(session_key="1", ip="192.0.2.1", user_agent="Lynx")
    User.objects.create_user("grace@example.com").emailaddress_set.create(
        email="grace@example.com"
    )

    rows = download(ada)

    assert rows["accounts.user"][0]["groups"] == [["Editors"]]
    assert rows["account.emailaddress"][0]["email"] == "ada@example.com"
    assert rows["usersessions.usersession"][0]["ip"] == "192.0.2.1"
    assert "grace" not in str(rows)


def test_download_has_the_names_of_second_factors(ada):
    TOTP.activate(ada, "JBSWY3DPEHPK3PXP")
    ada.authenticator_set.create(
        type=Authenticator.Type.WEBAUTHN, data={"name": "Blue key", "credential": {}}
    )

    names = {row["name"] for row in download(ada)["mfa.authenticator"]}

    assert names == {"TOTP Authenticator", "Blue key"}


def test_download_has_no_secrets(ada):
    TOTP.activate(ada, "JBSWY3DPEHPK3PXP")
    codes = RecoveryCodes.activate(ada)
    ada.authenticator_set.create(
        type=Authenticator.Type.WEBAUTHN,
        data={"name": "Blue key", "credential": {"id": "KEYDATA"}},
    )
    ada.usersession_set.create(session_key="SESSION", ip="::1", user_agent="Lynx")

    text = json.dumps(get_data(ada), cls=DjangoJSONEncoder)

    secrets = [
        ada.password,
        "SESSION",
        "KEYDATA",
        *codes.get_unused_codes(),
        *(
            value
            for app in ada.authenticator_set.exclude(type="webauthn")
            for value in app.data.values()
            if isinstance(value, str)
        ),
    ]
    assert len(secrets) > 10
    assert not [secret for secret in secrets if secret in text]

"""
Show what a site makes of answers: pages and an e-mail.

Runs in `manage.py shell` of a generated project. For each path of a settings.py on
standard input, it prints a line of JSON. The project's own settings are used, except for
those of that file that contain an answer.
"""

import importlib.util
import json
import logging
import os
import sys

from allauth.account.adapter import get_adapter
from allauth.core.context import request_context
from django.conf import settings
from django.core import mail
from django.test import Client, RequestFactory, override_settings
from django.test.utils import setup_test_environment

PACKAGE = os.environ["DJANGO_SETTINGS_MODULE"].rpartition(".")[0]
NAMES = (
    "SITE",
    "DEFAULT_FROM_EMAIL",
    "ACCOUNT_EMAIL_SUBJECT_PREFIX",
    "MFA_TOTP_ISSUER",
)


def load_settings(path):
    """Run a settings.py as a module of the project's package."""
    spec = importlib.util.spec_from_file_location(f"{PACKAGE}.other_settings", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def show():
    """Return what visitors and the recipients of e-mails see."""
    mail.outbox.clear()
    with request_context(RequestFactory().get("/")):
        get_adapter().send_mail("account/email/unknown_account", "ada@example.com", {})
    return {
        "site": settings.SITE,
        "issuer": settings.MFA_TOTP_ISSUER,
        "home": Client().get("/", secure=True).text,
        "manifest": Client().get("/manifest.webmanifest", secure=True).json(),
        "security": Client().get("/.well-known/security.txt", secure=True).text,
        "mail": mail.outbox[0].message().as_bytes().decode("latin-1"),
    }


def main():
    setup_test_environment(debug=False)
    logging.disable()  # The log goes to standard output as well.
    for line in sys.stdin:
        module = load_settings(json.loads(line))
        with override_settings(**{name: getattr(module, name) for name in NAMES}):
            print(json.dumps(show()), flush=True)

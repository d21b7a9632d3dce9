"""The page that shows an error while DEBUG is on, for settings.py."""

import os
import re
from html import escape
from urllib.parse import unquote

from django.conf import settings
from django.views.debug import ExceptionReporter


class DiscreetReporter(ExceptionReporter):
    """
    Django's, without SECRET_KEY and the passwords in DATABASE_URL and the like.

    Django knows a secret by its name. An address has another one, and the variables
    of a traceback are shown as they are.
    """

    def get_traceback_html(self):
        return conceal(super().get_traceback_html())

    def get_traceback_text(self):
        return conceal(super().get_traceback_text())


def conceal(text):
    environment = "\n".join(os.environ.values())
    passwords = re.findall(r"://[^:/@\s]*:([^/@\s]+)@", environment)
    for secret in (settings.SECRET_KEY, *passwords, *map(unquote, passwords)):
        for shown in (secret, escape(secret)):
            # A word of its own: a password in development may well be "django".
            text = re.sub(rf"(?<!\w){re.escape(shown)}(?!\w)", "********", text)
    return text

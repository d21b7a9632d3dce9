"""
Reads what differs between machines: https://12factor.net/config

Libraries do that as well, at a price: environs takes a tenth of the time in which the
whole site starts.
"""

import os
import re
import sys
from urllib.parse import urlsplit

import dj_database_url

BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


class Environment:
    """
    The variables of the environment and, for those not set there, of a file.

    Each method takes the name of a variable and what it is if it is not set; without
    that, it has to be set. A value that is not fit is None until check() is called.
    """

    def __init__(self, file):
        self.values = dict(os.environ)
        self.faults = {}
        if file.exists():
            from dotenv import dotenv_values  # Production may do without.

            try:
                self.values = dotenv_values(file) | self.values
            except (OSError, UnicodeError) as error:
                sys.exit(
                    f"{file} cannot be read as UTF-8 ({error}): save it as that, for "
                    "this user to read, or delete it and run `python scripts/bootstrap.py`."
                )

    def read(self, name, default, parse, fault):
        """Return what parse() makes of a value, which has the fault if that raises."""
        text = self.values.get(name)
        if text is None:
            if default is ...:
                self.faults[name] = "not set"
            return default
        try:
            return parse(text)
        except (LookupError, ValueError):
            self.faults[name] = fault if text else "empty"
            return None

    def bool(self, name, default=...):
        def parse(text):
            return BOOLEANS[text.lower()]

        return self.read(name, default, parse, "neither true nor false")

    def int(self, name, default=..., least=0):
        def parse(text):
            if int(text) < least:
                raise ValueError
            return int(text)

        return self.read(name, default, parse, f"not a number from {least} on")

    def str(self, name, default=..., shortest=1):
        def parse(text):
            if len(text) < shortest:
                raise ValueError
            return text

        return self.read(name, default, parse, f"shorter than {shortest} characters")

    def list(self, name, default=...):
        """Return what is between commas: nothing, only if it need not be set."""

        def parse(text):
            items = [item.strip() for item in text.split(",") if item.strip()]
            if not items and default is ...:
                raise ValueError
            return items

        return self.read(name, default, parse, "empty")

    def url(self, name, default=..., schemes=("http", "https")):
        """Return the parts that urllib.parse.urlsplit() finds."""

        def parse(text):
            url = urlsplit(text)
            if url.scheme not in schemes or not url.hostname or url.port == 0:
                raise ValueError
            return url

        return self.read(name, default, parse, f"not a URL of {' or '.join(schemes)}")

    def database(self, name, default=...):
        """Return a database for settings.DATABASES."""
        return self.read(name, default, dj_database_url.parse, "not a database's URL")

    def check(self, guide):
        """
        End the program with one sentence about all that is not fit, if anything is not.

        It takes examples from `guide`, the path of the file that explains the variables.
        """
        if not self.faults:
            return
        example = re.compile(r"^(?:# )?(?:Production: )?(\w+)=(.+)$", re.MULTILINE)
        examples = dict(example.findall(guide.read_text("utf-8")))
        faults = [
            f'"{name}" ({fault}; as in {name}={examples.get(name, "...")})'
            for name, fault in self.faults.items()
        ]
        sys.exit(
            f"Set {', '.join(faults)} in the environment or in the file .env: "
            f"`python scripts/bootstrap.py` makes one, {guide.name} explains it."
        )

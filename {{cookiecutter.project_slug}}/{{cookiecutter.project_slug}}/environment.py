"""Read and check the environment variables: https://django-environ.readthedocs.io/"""

import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

import environ


class Env(environ.Env):
    """
    django-environ's Env, which reports all missing and invalid variables at once.

    Values are taken literally and checked: to django-environ, "ture" is False, and a
    value that begins with $ names another variable.
    """

    # A copy: a child process must read .env again, and not get the values of its parent.
    ENVIRON = dict(os.environ)
    BOOLEAN_FALSE_STRINGS = ("false", "off", "no", "n", "0")

    def __init__(self, file: Path) -> None:
        """
        Read `file`, if it exists. Variables of the environment take precedence.

        Raises SystemExit, with a message, if the file cannot be read.
        """
        super().__init__()
        self.names: list[str] = []
        self.errors: dict[str, str] = {}
        try:
            if file.exists():
                # Some editors on Windows write a byte order mark.
                with file.open(encoding="utf-8-sig") as stream:
                    self.read_env(stream)
        except (OSError, UnicodeError) as error:
            sys.exit(
                f"{file} cannot be read ({error}): save it as UTF-8 and make it "
                "readable, or delete it and run `python scripts/bootstrap.py`."
            )

    def get_value(
        self,
        var: str,
        cast: Any = None,
        default: Any = environ.Env.NOTSET,
        parse_default: bool = False,
    ) -> Any:
        """Return the value of a variable; record an error and return None instead."""
        self.names.append(var)
        value = self.ENVIRON.get(var)
        if default is not self.NOTSET and (value is None or not (value or default)):
            return default
        try:
            if not value:
                raise ValueError("is not set" if value is None else "is empty")
            return self.parse_value(value, cast)
        except ValueError as error:
            self.errors[var] = str(error)
            return None

    @classmethod
    def parse_value(cls, value: str, cast: Any) -> Any:
        """Return `value` as the type `cast`; raise ValueError if it is invalid."""
        if cast is bool and value.lower() not in (
            *cls.BOOLEAN_TRUE_STRINGS,
            *cls.BOOLEAN_FALSE_STRINGS,
        ):
            raise ValueError("is neither true nor false")
        if cast is int and not value.isdecimal():
            raise ValueError("is not a whole number")
        if cast is list:
            return [item.strip() for item in value.split(",") if item.strip()]
        return super().parse_value(value, cast)

    def check(self, examples: Path) -> None:
        """
        End the program if a variable that was read so far is missing or invalid.

        The message names each of them and the source of its value, with an example from
        the file `examples`. Raises SystemExit.
        """
        if not self.errors:
            return
        pattern = re.compile(r"^(?:# )?(?:Production: )?(\w+)=(.+)$", re.MULTILINE)
        example = dict(pattern.findall(examples.read_text("utf-8")))
        errors = []
        for name, error in self.errors.items():
            source = f" from {self.source(name)}" if name in self.ENVIRON else ""
            errors.append(
                f"{name}{source} {error} (example: {name}={example.get(name)})"
            )
        sys.exit(
            f"The configuration is not valid: {'; '.join(errors)}. Set the variables in "
            f"the environment or in .env; {examples.name} explains them."
        )

    def source(self, name: str) -> str:
        """Return where the value of a variable was found."""
        if name in os.environ:
            return "the environment"
        return ".env" if name in self.ENVIRON else "default"


# Casts for Env, which raise ValueError with what is wrong.


def positive(value: str) -> int:
    """Return a whole number that is not 0."""
    number: int = Env.parse_value(value, int)
    if number == 0:
        raise ValueError("is 0")
    return number


def hosts(value: str) -> list[str]:
    """Return the host names in a list separated by commas; * alone stands for all."""
    names = Env.parse_value(value, list)
    for name in names:
        # Django accepts, but never matches, other values.
        if not re.fullmatch(r"\*|\.?[\w.-]+|\[[\da-f:.]+\]", name, re.ASCII | re.I):
            raise ValueError(
                f"contains {name!r}, which is not a host name: write example.com, or "
                ".example.com with all its subdomains, without a scheme or port"
            )
    return names


def networks(value: str) -> list[str]:
    """Return the IP addresses and networks in a list; * alone stands for all."""
    items = Env.parse_value(value, list)
    if items == ["*"]:
        return items
    for item in items:
        try:
            ip_network(item)
        except ValueError as error:
            raise ValueError(
                f"contains {item!r}, which is not an IP address or network"
            ) from error
    return items


def url(*schemes: str) -> Callable[[str], SplitResult]:
    """Return a cast to the parts of a URL that has a host and one of `schemes`."""

    def cast(value: str) -> SplitResult:
        try:
            parts = urlsplit(value)
            is_valid = parts.scheme in schemes and parts.hostname and parts.port != 0
        except ValueError:
            is_valid = False
        # In user:12/34@host, the host is "user" and the port is 12.
        if not is_valid or "@" in f"{parts.path}{parts.query}{parts.fragment}":
            begins = " or ".join(f"{scheme}://" for scheme in schemes)
            raise ValueError(
                f"is not a URL that begins with {begins} and names a host; in a "
                "password, write %2F for /, %40 for @, %23 for #, %3F for ?, %24 for $, "
                "%25 for %"
            )
        return parts

    return cast


def sentry_dsn(value: str) -> str:
    """Return a DSN: the address of a project in Sentry, with its public key."""
    with suppress(ValueError):
        parts = url("http", "https")(value)
        if parts.username and parts.path.rpartition("/")[2].isdecimal():
            return value
    raise ValueError("is not a DSN, as the settings of a Sentry project show it")


def redis(value: str) -> SplitResult:
    """Return the parts of the URL of a Redis server, whose options are valid."""
    from redis import ConnectionPool  # Slow to import.

    parts = url("redis", "rediss")(value)
    if not re.fullmatch(r"(/\d*)?", parts.path):
        raise ValueError("does not end with the number of a database, such as /1")
    try:
        ConnectionPool.from_url(value).make_connection()  # It does not connect yet.
    except (TypeError, ValueError) as error:
        raise ValueError(f"has an option that is not valid: {error}") from error
    return parts


def email(value: str) -> SplitResult:
    """Return the parts of the URL of a mail server."""
    parts = url("smtp", "smtps", "submission")(value)
    if parts.path.strip("/") or parts.query:
        raise ValueError("has options: the scheme alone sets the encryption")
    return parts


def storage(value: str) -> SplitResult:
    """Return the parts of the URL of a bucket, whose options are valid."""
    parts = url("http", "https")(value)
    if not re.fullmatch("/[^/]+/?", parts.path):
        raise ValueError(
            "does not name a bucket after the host; ?location= is a folder"
        )
    storage_options(parts)
    return parts


def storage_options(url: SplitResult) -> dict[str, Any]:
    """Return the options for S3Storage in the query of a URL."""
    # To S3Storage, the text "false" would be true.
    casts = {
        **dict.fromkeys(("file_overwrite", "gzip", "querystring_auth"), bool),
        **dict.fromkeys(("max_memory_size", "querystring_expire"), int),
    }
    options = {}
    for name, value in parse_qsl(url.query, keep_blank_values=True):
        try:
            options[name] = Env.parse_value(value, casts.get(name))
        except ValueError as error:
            raise ValueError(f"has the option {name}, which {error}") from error
    return options


def database(value: str) -> dict[str, Any]:
    """Return the settings of a database for DATABASES."""
    scheme = value.partition("://")[0]
    if scheme not in Env.DB_SCHEMES:
        raise ValueError("is not the URL of a database")
    if scheme != "sqlite":
        url(scheme)(value)
    config: dict[str, Any] = Env.db_url_config(value)
    if config["NAME"] in ("", ":memory:"):
        raise ValueError("does not name a database")
    return config

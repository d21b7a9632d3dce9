import json
import os
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPSConnection
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.core import signing
from django.core.cache import cache, caches
from django.core.checks import WARNING, run_checks
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.mail import EmailMessage, mailers
from django.core.management import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.views.debug import get_exception_reporter_filter

from ops.tasks import ping

TIMEOUT = 10  # Seconds for each network request.
MAX_BACKUP_AGE = timedelta(days=2)


class Problem(Exception):
    """What is wrong and how to fix it, as a message for the user."""


class Command(BaseCommand):
    help = (
        "Uses each part of the site for real (database, cache, worker, mail, storage, "
        "public address, backups) and says what is wrong."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--mail-to", help="send a test message to this address")
        parser.add_argument(
            "--url", help="the public address; by default, from CSRF_TRUSTED_ORIGINS"
        )

    def handle(self, **options: str | None) -> None:
        origins = settings.CSRF_TRUSTED_ORIGINS
        url = options["url"] or (origins[0] if origins else None)
        checks: list[tuple[str, Callable[[], str]]] = [
            ("settings", check_settings),
            ("database", check_database),
            ("cache", check_cache),
            ("worker", check_worker),
            ("mail", lambda: check_mail(options["mail_to"])),
            ("storage", lambda: check_storage(url)),
            ("address", lambda: check_address(url)),
            ("backup", check_backup),
        ]
        for name, source, value in list_variables():
            self.stdout.write(f"{name:<24} {value}  ({source})")
        self.stdout.write("")
        failed = 0
        for name, check in checks:
            try:
                self.stdout.write(f"{name:<10} {check()}")
            except Exception as error:
                failed += 1
                message = str(error) if isinstance(error, Problem) else repr(error)
                self.stdout.write(
                    f"{name:<10} " + self.style.ERROR(f"failed: {message}")
                )
        if failed:
            raise CommandError(f"{failed} of {len(checks)} checks failed.")


def list_variables() -> Iterator[tuple[str, str, str]]:
    """Yield the name, the source and the masked value of each environment variable."""
    env = import_module(os.environ["DJANGO_SETTINGS_MODULE"]).env
    mask = get_exception_reporter_filter(None).cleanse_setting
    for name in env.names:
        value = env.ENVIRON.get(name)
        yield name, env.source(name), mask(name, value) if value else "-"


def check_settings() -> str:
    problems = [
        message
        for message in run_checks(include_deployment_checks=not settings.DEBUG)
        if message.level >= WARNING and not message.is_silenced()
    ]
    if problems:
        raise Problem(" ".join(f"{problem.msg} ({problem.id})" for problem in problems))
    return "ok" if not settings.DEBUG else "ok, but DEBUG is on: not for production"


def check_database() -> str:
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if pending:
        raise Problem(f"{len(pending)} pending migrations: run `manage.py migrate`")
    return f"ok ({connection.display_name})"


def check_cache() -> str:
    value = time.time()
    cache.set("doctor", value, timeout=60)
    if cache.get("doctor") != value:
        raise Problem(
            "a value was written but not read back: see the log for the reason, and "
            "check CACHE_URL and whether its server accepts writes"
        )
    return f"ok ({type(caches['default']).__name__})"


def check_worker() -> str:
    result = ping.enqueue()
    deadline = time.monotonic() + TIMEOUT
    while not result.is_finished:
        if not ping.get_backend().supports_get_result:
            return "not checked: the queue keeps no results"
        if time.monotonic() > deadline:
            raise Problem(
                f"no task was run within {TIMEOUT} s: start `manage.py ox_worker`"
            )
        time.sleep(0.5)
        result.refresh()
    return "ok"


def check_mail(address: str | None) -> str:
    if "smtp" not in settings.MAILERS:
        return "ok, but messages are printed: EMAIL_URL is not set"
    backend = mailers["smtp"]
    if not address:
        backend.open()
        backend.close()
        return "ok (logged in; --mail-to ADDRESS sends a message)"
    message = EmailMessage("Test", "The mail server works.", to=[address])
    backend.send_messages([message])
    return f"ok (sent to {address})"


def check_storage(url: str | None) -> str:
    content = signing.dumps("doctor").encode()
    name = default_storage.save("doctor.txt", ContentFile(content))
    try:
        file_url = default_storage.url(name)
        if file_url.startswith("/"):
            if not url:
                return "ok (written; without --url, not fetched)"
            file_url = url.rstrip("/") + file_url
        status, body = fetch(file_url)
        if body != content:
            raise Problem(
                f"an uploaded file cannot be fetched (status {status}): the proxy must "
                "serve MEDIA_URL from MEDIA_ROOT, or set STORAGE_URL"
            )
    finally:
        default_storage.delete(name)
    return "ok"


def check_address(url: str | None) -> str:
    if not url:
        return "not checked: give --url https://example.com"
    forged = {"X-Forwarded-For": "192.0.2.1", "X-Doctor": signing.dumps("doctor")}
    status, body = fetch(f"{url.rstrip('/')}/livez", forged)
    try:
        seen = json.loads(body)
    except ValueError:
        raise Problem(f"{url}/livez returned status {status}, not this site") from None
    if seen["address"] == forged["X-Forwarded-For"]:
        raise Problem(
            "a client can forge its address: the proxy must replace X-Forwarded-For, "
            "and FORWARDED_ALLOW_IPS may name proxies only"
        )
    if seen["scheme"] != urlsplit(url).scheme:
        raise Problem(
            f"requests arrive as {seen['scheme']} from {seen['address']}: add the "
            "address of the proxy to FORWARDED_ALLOW_IPS"
        )
    status, body = fetch(f"{url.rstrip('/')}/robots.txt")
    if status != 200:
        raise Problem(f"{url}/robots.txt returned status {status}: check ALLOWED_HOSTS")
    return f"ok (this client is seen as {seen['address']} over {seen['scheme']})"


def check_backup() -> str:
    if settings.DEBUG:
        return "not checked: DEBUG is on"
    if connection.vendor != "sqlite":
        return f"not checked: the database is {connection.display_name}"
    folder = Path(connection.settings_dict["NAME"]).resolve().parent
    backups = [*folder.glob("*.backup"), *folder.glob("backups/*.backup")]
    times = [path.stat().st_mtime for path in backups]
    if not times:
        raise Problem(
            f"{folder} has no backup: create one with "
            f"`manage.py backup_db {folder}/NAME.backup`"
        )
    age = datetime.now(UTC) - datetime.fromtimestamp(max(times), UTC)
    if age > MAX_BACKUP_AGE:
        raise Problem(f"the last backup in {folder} is {age.days} days old")
    return f"ok ({age.total_seconds() / 3600:.0f} hours old)"


def fetch(url: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Return the status and the body of a response. Redirects are not followed."""
    parts = urlsplit(url)
    connection_class = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    path = parts._replace(scheme="", netloc="").geturl()
    with closing(connection_class(parts.netloc, timeout=TIMEOUT)) as connection:
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.read()

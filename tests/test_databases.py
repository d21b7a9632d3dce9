"""The project on PostgreSQL, and SQLite under load."""

import contextlib
import itertools
import shutil
import socket
import sqlite3
import threading

import pytest
from support.load import load
from support.project import run, uvicorn
from support.server import fetch, free_port, wait_until
from support.site import HTTPS, PRODUCTION
from support.template import IN_PROJECT

pytestmark = pytest.mark.slow

# A request with a session, which is looked up in the database.
BROWSER = {**HTTPS, "Cookie": "__Host-sessionid=" + "a" * 32}


@pytest.fixture
def site(released, serve):
    """Return a function that serves the project in production on a DATABASE_URL."""

    def site(url):
        port = free_port()
        address = f"http://localhost:{port}"
        serve(
            uvicorn(released, port),
            cwd=released,
            env={**PRODUCTION, "DATABASE_URL": url},
            url=f"{address}/livez",
        )
        return address

    return site


@pytest.mark.services
def test_own_tests_pass_on_postgresql(project, postgresql):
    status, output = run(
        project,
        *("-m", "pytest", "-p", "no:cacheprovider"),
        env={"DATABASE_URL": postgresql.new_database()},
    )

    assert status == 0, output
    assert "Warning" not in output


@pytest.mark.services
def test_site_recovers_after_a_restart_of_postgresql(project, site, postgresql):
    url = postgresql.new_database()
    address = site(url)
    assert fetch(f"{address}/readyz")[::2] == (503, "failed: migrations, cache")
    status, output = run(project, "manage.py", "migrate", env={"DATABASE_URL": url})
    assert status == 0, output
    assert fetch(f"{address}/readyz")[::2] == (200, "ok")
    assert fetch(f"{address}/admin/", BROWSER)[0] == 200

    postgresql.stop()
    assert fetch(f"{address}/readyz")[::2] == (503, "failed: database, cache")
    # Pages that need no database are there.
    for path in ("/", "/accounts/login/", "/robots.txt"):
        assert fetch(address + path, HTTPS)[0] == 200

    postgresql.start()
    wait_until(
        lambda: fetch(f"{address}/readyz")[0] == 200, "The site does not become ready."
    )
    assert fetch(f"{address}/admin/", BROWSER)[0] == 200


CONNECT = """
from django.db import connection

connection.settings_dict["OPTIONS"].pop("pool")  # A pool would retry.
connection.ensure_connection()
print("encrypted:", connection.connection.pgconn.ssl_in_use)
"""


@pytest.mark.services
def test_certificate_of_the_database_is_verified(project, postgresql):
    url = f"{postgresql.new_database()}?sslmode=require"
    authority = postgresql.start_tls()
    command = ("manage.py", "shell", "--no-imports", "--command", CONNECT)
    by_name = url.replace("127.0.0.1", "localhost")
    root = f"&sslrootcert={authority}"

    for database, trusted, outcome in [
        (by_name + root, "", "encrypted: True"),
        (by_name, authority, "encrypted: True"),
        (by_name, "", "certificate verify failed"),
        (url + root, "", "does not match host name"),
    ]:
        env = {"DATABASE_URL": database, "SSL_CERT_FILE": str(trusted)}
        assert outcome in run(project, *command, env=env)[1]


def test_health_checks_do_not_wait_for_a_database_that_hangs(site):
    with socket.create_server(("127.0.0.1", 0), backlog=64) as database:
        host, port = database.getsockname()
        address = site(f"postgres://{host}:{port}/name")
        responses = []

        def probe():
            responses.append(fetch(f"{address}/readyz")[::2])

        threads = [threading.Thread(target=probe) for _ in range(30)]
        for thread in threads:
            thread.start()
        assert fetch(f"{address}/livez")[2] == "ok"
        for thread in threads:
            thread.join()

    assert responses == [(503, "failed: database, cache")] * 30


def test_pages_are_read_while_sqlite_is_locked(project, site, tmp_path):
    file = tmp_path / "db.sqlite3"
    shutil.copy(project / "db.sqlite3", file)
    address = site(f"sqlite:///{file}?timeout=1")
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")

        for path in ("/", "/accounts/login/", "/admin/login/"):
            assert fetch(address + path, BROWSER)[0] == 200


def test_sqlite_handles_64_writers_and_64_readers(workspace, serve):
    shutil.copy(IN_PROJECT / "ledger.py", workspace / workspace.name / "urls.py")
    port = free_port()
    server = serve(
        [*uvicorn(workspace, port), "--workers", "2", "--no-access-log"],
        cwd=workspace,
        env=PRODUCTION,
        url=f"http://localhost:{port}/livez",
    )

    writers = [itertools.repeat(("POST", "/write/")) for _ in range(64)]
    readers = [itertools.repeat(("GET", "/read/")) for _ in range(64)]
    statuses = load(port, 3, *writers, *readers)

    assert set(statuses) == {200, 201}, (statuses, server.output)

"""The project on PostgreSQL, and on the SQLite that it starts with."""

import itertools
import shutil
import socket
import threading
from pathlib import Path

import pytest
from helpers import fetch, free_port, wait_until
from load import load
from sites import PRODUCTION
from test_project import run, uvicorn

# As a proxy asks on behalf of a browser that has been here before, whose session is
# looked for in the database.
BROWSER = {"X-Forwarded-Proto": "https", "Cookie": "__Host-sessionid=" + "a" * 32}


@pytest.fixture
def site(released, serve):
    """Return a function that serves the project in production on a DATABASE_URL."""

    def site(url):
        port = free_port()
        address = f"http://localhost:{port}"
        serve(
            uvicorn(released, port),
            cwd=released,
            env={**PRODUCTION, "EMAIL_URL": "smtp://localhost", "DATABASE_URL": url},
            url=f"{address}/livez",
        )
        return address

    return site


def test_the_projects_own_tests_pass_on_postgresql(project, postgresql):
    status, output = run(
        project,
        *("-m", "pytest", "-p", "no:cacheprovider"),
        env={"DATABASE_URL": postgresql.new_database()},
    )

    assert status == 0, output
    assert "Warning" not in output


def test_a_site_outlives_a_restart_of_postgresql(project, site, postgresql):
    url = postgresql.new_database()
    address = site(url)
    assert fetch(f"{address}/readyz")[::2] == (503, "failed: migrations, cache")
    status, output = run(project, "manage.py", "migrate", env={"DATABASE_URL": url})
    assert status == 0, output
    assert fetch(f"{address}/readyz")[::2] == (200, "ok")
    assert fetch(f"{address}/admin/", BROWSER)[0] == 200

    postgresql.stop()
    assert fetch(f"{address}/readyz")[::2] == (503, "failed: database, cache")

    postgresql.start()
    wait_until(lambda: fetch(f"{address}/readyz")[0] == 200, "It stays unready.")
    assert fetch(f"{address}/admin/", BROWSER)[0] == 200


CONNECT = """
from django.db import connection

connection.settings_dict["OPTIONS"].pop("pool")  # It would try again and again.
connection.ensure_connection()
print("encrypted:", connection.connection.pgconn.ssl_in_use)
"""


def test_a_database_has_to_prove_its_name_where_tls_is_required(project, postgresql):
    url = f"{postgresql.new_database()}?sslmode=require"
    authority = postgresql.start_tls()
    command = ("manage.py", "shell", "--no-imports", "--command", CONNECT)
    by_name = url.replace("127.0.0.1", "localhost")
    told = f"&sslrootcert={authority}"

    for database, trusted, outcome in [
        (by_name + told, "", "encrypted: True"),
        (by_name, authority, "encrypted: True"),
        (by_name, "", "certificate verify failed"),
        (url + told, "", "does not match host name"),
    ]:
        env = {"DATABASE_URL": database, "SSL_CERT_FILE": str(trusted)}
        assert outcome in run(project, *command, env=env)[1]


def test_a_database_that_hangs_takes_health_checks_no_time_and_no_threads(site):
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        host, port = silent.getsockname()
        address = site(f"postgres://{host}:{port}/name")
        answers = []

        def probe():
            answers.append(fetch(f"{address}/readyz")[::2])

        threads = [threading.Thread(target=probe) for _ in range(30)]
        for thread in threads:
            thread.start()
        assert fetch(f"{address}/livez")[2] == "ok"
        for thread in threads:
            thread.join()

    assert answers == [(503, "failed: database, cache")] * 30


def test_sqlite_serves_sixty_four_writers_and_readers_at_once(workspace, serve):
    shutil.copy(
        Path(__file__).parent / "in_project" / "ledger.py",
        workspace / workspace.name / "urls.py",
    )
    port = free_port()
    server = serve(
        [*uvicorn(workspace, port), "--workers", "2", "--no-access-log"],
        cwd=workspace,
        env={**PRODUCTION, "EMAIL_URL": "smtp://localhost"},
        url=f"http://localhost:{port}/livez",
    )

    writers = [itertools.repeat(("POST", "/write/")) for _ in range(64)]
    readers = [itertools.repeat(("GET", "/read/")) for _ in range(64)]
    statuses = load(port, 3, *writers, *readers)

    assert set(statuses) == {200, 201}, (statuses, server.output)

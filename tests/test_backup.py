"""Backups that are made under load, on SQLite and on PostgreSQL, and restored."""

import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import requests
from moto.server import ThreadedMotoServer
from support.load import under_load
from support.markdown import blocks
from support.project import run, run_shell, uvicorn
from support.server import fetch, free_port, wait_until
from support.site import HTTPS, PRODUCTION
from support.template import IN_PROJECT
from support.tools import find_program

pytestmark = pytest.mark.slow

ROWS = """
import json
from django.contrib.auth.models import Group

print(json.dumps(list(Group.objects.order_by("id").values_list("id", "name"))))
"""

DROP = """
from django.db import connection

with connection.cursor() as cursor:
    cursor.execute("DROP TABLE django_migrations, auth_group CASCADE")
"""


@pytest.fixture
def site(workspace, serve):
    """Return a copy of the project with pages that write, and a function to serve it."""
    shutil.copy(IN_PROJECT / "ledger.py", workspace / workspace.name / "urls.py")

    def start(env):
        port = free_port()
        server = serve(
            [*uvicorn(workspace, port), "--no-access-log"],
            cwd=workspace,
            env={**PRODUCTION, **env},
            url=f"http://localhost:{port}/livez",
        )
        return port, server

    return workspace, start


def rows(project, env):
    return json.loads(run_shell(project, ROWS, env=env))


def manage(project, *command, env):
    status, output = run(project, "manage.py", *command, env=env)
    assert status == 0, output
    return output


def back_up_destroy_and_restore(site, path, env, destroy):
    """
    Back up while clients write, destroy the database, restore it and compare the rows.
    """
    project, start = site
    manage(project, "migrate", env=env)
    port, server = start(env)
    clients = [itertools.repeat(("POST", "/write/")) for _ in range(8)]

    with under_load(port, *clients) as statuses:
        wait_until(lambda: statuses[201] > 20, "No rows are written.")
        earlier = rows(project, env)
        manage(project, "backup_db", str(path), env=env)
        later = statuses[201]
        wait_until(lambda: statuses[201] > later + 20, "No rows are written.")
    assert set(statuses) == {201}, server.output
    assert fetch(f"http://localhost:{port}/readyz", HTTPS)[0] == 200
    everything = rows(project, env)
    server.stop()
    destroy()
    assert run(project, "manage.py", "shell", "-c", ROWS, env=env)[0] == 1

    manage(project, "restore_db", "--no-input", str(path), env=env)

    restored = rows(project, env)
    assert restored == everything[: len(restored)]
    assert len(earlier) <= len(restored) < len(everything)
    # The site runs on the restored database: the sequences continue.
    port, server = start(env)
    assert fetch(f"http://localhost:{port}/readyz", HTTPS)[::2] == (200, "ok")
    with under_load(port, *clients) as statuses:
        wait_until(lambda: statuses[201] > 5, "No rows are written.")
    assert set(statuses) == {201}, server.output


def test_sqlite_is_restored_from_a_backup_under_load(site, tmp_path):
    database = tmp_path / "site.sqlite3"

    back_up_destroy_and_restore(
        site,
        tmp_path / "site.backup",
        env={"DATABASE_URL": f"sqlite:///{database}"},
        destroy=lambda: database.write_bytes(b"destroyed" * 1000),
    )


@pytest.mark.services
def test_postgresql_is_restored_from_a_backup_under_load(site, postgresql, tmp_path):
    env = {"DATABASE_URL": postgresql.new_database()}

    back_up_destroy_and_restore(
        site,
        tmp_path / "site.backup",
        env,
        destroy=lambda: run_shell(site[0], DROP, env=env),
    )


def test_sqlite_is_not_restored_while_the_site_runs(site, tmp_path):
    project, start = site
    env = {"DATABASE_URL": f"sqlite:///{tmp_path / 'site.sqlite3'}"}
    manage(project, "migrate", env=env)
    manage(project, "backup_db", str(tmp_path / "site.backup"), env=env)
    port, _ = start(env)
    assert fetch(f"http://localhost:{port}/read/", HTTPS)[0] == 200
    command = ("manage.py", "restore_db", "--no-input", str(tmp_path / "site.backup"))

    status, output = run(project, *command, env={**PRODUCTION, **env})

    assert status == 1
    assert "The database is in use. Stop the site" in output
    assert fetch(f"http://localhost:{port}/read/", HTTPS)[0] == 200


@pytest.mark.services
def test_postgresql_is_not_changed_by_a_backup_that_fails(
    project, postgresql, tmp_path
):
    env = {"DATABASE_URL": postgresql.new_database()}
    backup = tmp_path / "site.backup"
    manage(project, "migrate", env=env)
    run_shell(
        project,
        "from django.contrib.auth.models import Group\n"
        "Group.objects.create(name='kept')",
        env=env,
    )
    manage(project, "backup_db", str(backup), env=env)
    whole = backup.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:-100], b"no backup", b""):
        backup.write_bytes(damaged)

        command = ("manage.py", "restore_db", "--no-input", str(backup))
        status, output = run(project, *command, env=env)

        assert status == 1
        assert "pg_restore failed" in output
        assert "Traceback" not in output
        assert [name for _, name in rows(project, env)] == ["kept"]


# A client program that says how it was called.
SPY = """#!/bin/sh
if [ "$1" = --version ]; then echo "pg_dump (PostgreSQL) $VERSION.1"; exit; fi
echo "arguments: $*" >&2
env | grep ^PG >&2
exit 1
"""


@pytest.mark.services
@pytest.mark.skipif(os.name == "nt", reason="the program is a shell script")
def test_client_programs_get_the_options_of_the_url(
    project, postgresql, tmp_path, monkeypatch
):
    program = tmp_path / "pg_dump"
    program.write_text(SPY)
    program.chmod(0o755)
    authority = postgresql.start_tls()
    url = postgresql.new_database().replace(
        "postgres@127.0.0.1", "postgres:s%2Fecret@localhost"
    )
    env = {
        "DATABASE_URL": f"{url}?sslmode=require&sslrootcert={authority}",
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
    }
    command = ("manage.py", "backup_db", str(tmp_path / "site.backup"))

    output = run(project, *command, env={**env, "VERSION": "99"})[1]

    (arguments,) = re.findall("arguments: .*", output)
    assert "s/ecret" not in arguments
    lines = output.splitlines()
    for line in (
        "PGPASSWORD=s/ecret",
        "PGHOST=localhost",
        "PGUSER=postgres",
        "PGSSLMODE=verify-full",
        f"PGSSLROOTCERT={authority}",
    ):
        assert line in lines
    assert not (tmp_path / "site.backup").exists()

    output = run(project, *command, env={**env, "VERSION": "9"})[1]

    assert re.fullmatch(
        r"CommandError: pg_dump 9 is older than the server\. Install .* or newer\.\n",
        output,
    )

    output = run(project, *command, env={**env, "PATH": str(Path(tmp_path, "none"))})[1]

    assert re.fullmatch(
        r"CommandError: pg_dump is not installed\. Install .* or newer\.\n", output
    )


@pytest.mark.services
@pytest.mark.skipif(os.name == "nt", reason="the unit runs commands in sh")
def test_new_backups_are_copied_to_private_object_storage(bake, tmp_path):
    find_program("rclone")
    project = bake(deploy="server")
    guide = blocks((project / "deploy" / "README.md").read_text("utf-8"))
    (settings,) = [block.text for block in guide if "RCLONE_" in block.text]
    unit = (project / "deploy" / "systemd" / "backup@.service").read_text("utf-8")
    (command,) = re.findall(r"ExecStartPost=(.* rclone .*)", unit)
    command = shlex.split(command.replace("/var/lib/%i/backups", str(tmp_path)))
    (tmp_path / "new.backup").write_text("new")
    (tmp_path / "old.backup").write_text("old")
    os.utime(tmp_path / "old.backup", (0, 0))
    storage = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    storage.start()
    try:
        address = "http://{}:{}".format(*storage.get_host_and_port())
        requests.put(f"{address}/bucket")
        settings = settings.replace("https://s3.example.com", address)
        env = dict(line.split("=", 1) for line in settings.splitlines())

        subprocess.run(command, env={"PATH": os.environ["PATH"], **env}, check=True)

        signed = {
            "Authorization": "AWS4-HMAC-SHA256 Credential=key/1/1/s3/aws4_request"
        }
        listing = requests.get(f"{address}/bucket", headers=signed).text
        assert re.findall("<Key>(.*?)</Key>", listing) == ["new.backup"]
        file = f"{address}/bucket/new.backup"
        assert requests.get(file, headers=signed).text == "new"
        assert requests.get(file).status_code == 403
    finally:
        storage.stop()

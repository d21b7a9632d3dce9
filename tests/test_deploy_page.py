"""The deploy guide: its commands are run as written, except those that need root."""

import contextlib
import os
import re
import sqlite3
import subprocess
from pathlib import Path

import pytest
from support.markdown import blocks
from support.project import python_of
from support.server import TIMEOUT
from support.services import POSTGRESQL_FOLDERS
from support.site import PRODUCTION
from support.tools import find_program

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="runs commands in bash"),
]

# Commands that need root, or a machine of their own.
SKIPPED = re.compile(r"^(sudo|docker|curl|sed) |\| sudo ")


@pytest.fixture
def machine(bake, tmp_path):
    """
    Return a function that runs a block of the guide in the site's folder.

    Temporary folders take the place of those on a server; the git repository is the
    project's own.
    """
    origin = tmp_path / "machine.git"
    project = bake(bootstrap=True, deploy="server")
    subprocess.run(["git", "clone", "-q", "--bare", project, origin], check=True)
    replacements = {
        f"sudo -u {project.name} ": "",
        f"https://git.example.com/{project.name}.git": str(origin),
        f"/srv/{project.name}": str(tmp_path / "srv"),
        f"/var/lib/{project.name}": str(tmp_path / "data"),
    }
    (tmp_path / "data").mkdir()

    def run_block(text):
        for written, ours in replacements.items():
            text = text.replace(written, ours)
        lines = [line for line in text.splitlines() if not SKIPPED.search(line)]
        done = subprocess.run(
            ["bash", "-euxc", "\n".join(lines)],
            cwd=tmp_path / "srv" if (tmp_path / "srv").exists() else tmp_path,
            env={**os.environ, **PRODUCTION, "UV_PYTHON": python_of(project).resolve()},
            input="yes\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=4 * TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, done.stdout

    run_block.data = tmp_path / "data" / "db.sqlite3"
    return run_block


def read_guide(project):
    return blocks((project / "deploy" / "README.md").read_text("utf-8"))


def find_block(guide, text):
    """Return the text of the only block that contains `text`."""
    (found,) = [block.text for block in guide if text in block.text]
    return found


def query(path, *statements):
    """Run SQL statements on a database file; return the rows of the last one."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        return [database.execute(text).fetchall() for text in statements][-1]


def test_site_is_installed_and_restored_from_a_backup(bake, machine):
    guide = read_guide(bake(deploy="server"))
    machine(find_block(guide, "git clone"))
    machine(find_block(guide, "git pull\nuv sync"))
    query(machine.data, "CREATE TABLE precious AS SELECT 'kept'")
    machine(find_block(guide, "manage.py backup_db"))
    query(machine.data, "DELETE FROM precious")

    machine(find_block(guide, "manage.py restore_db"))

    assert query(machine.data, "SELECT * FROM precious") == [("kept",)]
    assert query(machine.data, "SELECT count(*) FROM django_migrations") > [(10,)]


@pytest.mark.services
def test_postgresql_is_restored_from_a_backup(bake, postgresql, tmp_path, monkeypatch):
    guide = read_guide(bake(database="postgresql"))
    psql = find_program("psql", *POSTGRESQL_FOLDERS)
    monkeypatch.setenv(
        "PATH", os.pathsep.join([str(Path(psql).parent), os.environ["PATH"]])
    )
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", str(postgresql.port))

    def sql(text, *user):
        command = ["psql", "-qAt", "-v", "ON_ERROR_STOP=1", *user, "-c", text]
        return subprocess.run(
            command, check=True, capture_output=True, text=True
        ).stdout

    as_site = ("-U", "site", "site")
    sql("CREATE ROLE site LOGIN", "-U", "postgres")
    sql("CREATE DATABASE site OWNER site", "-U", "postgres")
    sql("CREATE TABLE precious AS SELECT 'kept' AS word", *as_site)
    dump, restore = (
        find_block(guide, "pg_dump")
        .replace("docker compose exec -T db ", "")
        .splitlines()
    )
    subprocess.run(["bash", "-euc", dump], cwd=tmp_path, check=True)
    sql("DELETE FROM precious", *as_site)

    subprocess.run(["bash", "-euc", restore], cwd=tmp_path, check=True)

    assert sql("SELECT word FROM precious", *as_site) == "kept\n"

"""docs/deploy.md of the project, done as written as far as one machine can."""

import contextlib
import os
import re
import sqlite3
import subprocess
from pathlib import Path

import pytest
from helpers import PATIENCE, python_of
from services import find
from test_generated_readme import blocks
from test_project import PRODUCTION

pytestmark = pytest.mark.skipif(os.name == "nt", reason="types what POSIX shells take")

# What needs root, or a machine of its own.
ELSEWHERE = re.compile(r"^(sudo|docker|curl|sed) |\| sudo ")


@pytest.fixture
def machine(bake, tmp_path):
    """Return a function that types a block in the site's folder of a machine.

    Its folders are there in place of the real ones, and a project with a history.
    """
    origin = tmp_path / "machine.git"
    project = bake(bootstrap=True)
    subprocess.run(["git", "clone", "-q", "--bare", project, origin], check=True)
    places = {
        f"sudo -u {project.name} ": "",
        f"https://git.example.com/{project.name}.git": str(origin),
        f"/srv/{project.name}": str(tmp_path / "srv"),
        f"/var/lib/{project.name}": str(tmp_path / "data"),
    }
    (tmp_path / "data").mkdir()

    def type_block(text):
        for theirs, ours in places.items():
            text = text.replace(theirs, ours)
        lines = [line for line in text.splitlines() if not ELSEWHERE.search(line)]
        done = subprocess.run(
            ["bash", "-euxc", "\n".join(lines)],
            cwd=tmp_path / "srv" if (tmp_path / "srv").exists() else tmp_path,
            env={**os.environ, **PRODUCTION, "UV_PYTHON": python_of(project).resolve()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=4 * PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout

    type_block.data = tmp_path / "data" / "db.sqlite3"
    return type_block


@pytest.fixture
def page(bake):
    return blocks((bake() / "docs" / "deploy.md").read_text("utf-8"))


def block(page, text):
    """Return the one block that has a certain text in it."""
    (found,) = [block.text for block in page if text in block.text]
    return found


def query(path, *statements):
    """Run SQL statements; return the rows of the last."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        return [database.execute(text).fetchall() for text in statements][-1]


def test_a_machine_is_set_up_and_restored_from_its_backup_as_written(page, machine):
    machine(block(page, "git clone"))
    machine(block(page, "git pull\nuv sync"))
    query(machine.data, "CREATE TABLE precious AS SELECT 'kept'")
    machine(block(page, "backup_db"))
    query(machine.data, "DELETE FROM precious")

    machine(block(page, "rm -f"))

    assert query(machine.data, "SELECT * FROM precious") == [("kept",)]
    assert query(machine.data, "SELECT count(*) FROM django_migrations") > [(10,)]


def test_postgresql_is_restored_from_its_backup_as_written(
    page, postgresql, tmp_path, monkeypatch
):
    psql = find("psql", *Path("/usr/lib/postgresql").glob("*/bin"))
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
        block(page, "pg_dump").replace("docker compose exec -T db ", "").splitlines()
    )
    subprocess.run(["bash", "-euc", dump], cwd=tmp_path, check=True)
    sql("DELETE FROM precious", *as_site)

    subprocess.run(["bash", "-euc", restore], cwd=tmp_path, check=True)

    assert sql("SELECT word FROM precious", *as_site) == "kept\n"

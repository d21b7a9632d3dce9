"""docs/deploy.md of the project, done as written as far as one machine can."""

import contextlib
import os
import re
import sqlite3
import subprocess

import pytest
from helpers import PATIENCE, python_of
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
        f"https://git.example.com/{project.name}.git": str(origin),
        f"/srv/{project.name}": str(tmp_path / "srv"),
        f"/var/lib/{project.name}": str(tmp_path / "data"),
        "/var/backups": str(tmp_path),
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

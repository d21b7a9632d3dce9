"""AGENTS.md of a project: its commands are run as written, and its paths exist."""

import os
import re
import subprocess

import pytest
from support.markdown import blocks
from support.project import copy_project, python_of
from support.server import TIMEOUT
from support.template import TREE

PAGE = (TREE / "AGENTS.md").read_text("utf-8")
(COMMANDS,) = [block.text for block in blocks(PAGE)]
# The test of the README runs the commands that are in it, too.
README = (TREE / "README.md").read_text("utf-8")
# Without the comments.
LINES = [re.sub(r"  +# .*", "", line) for line in COMMANDS.splitlines()]


@pytest.fixture
def environment(project):
    """Return an environment in which `python` is not the project's own."""
    folder = str(python_of(project).parent)
    path = [part for part in os.environ["PATH"].split(os.pathsep) if part != folder]
    return {**os.environ, "PATH": os.pathsep.join(path)}


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="runs commands in bash")
@pytest.mark.parametrize("line", sorted({*LINES} - {*README.splitlines()}))
def test_command_works(project, environment, tmp_path, line):
    copy = copy_project(project, tmp_path)

    done = subprocess.run(
        ["bash", "-c", line],
        cwd=copy,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=20 * TIMEOUT,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_every_command_has_a_comment():
    for line in COMMANDS.splitlines():
        assert re.search(r"\S  +# \w", line), line


def test_every_path_exists(bake):
    page = (bake() / "AGENTS.md").read_text("utf-8")
    paths = re.findall(r"`([\w./-]+(?:/|\.\w+))`|\]\(([\w./]+)\)", page)

    assert len(paths) > 10
    for path in map("".join, paths):
        assert (bake() / path).exists(), path

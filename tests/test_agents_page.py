"""AGENTS.md of a project: its commands are run as written, and its paths exist."""

import os
import re
import subprocess

import pytest
from support.markdown import blocks
from support.project import copy_project, python_of
from support.server import TIMEOUT, fetch, free_port
from support.template import TREE

PAGE = (TREE / "AGENTS.md").read_text("utf-8")
(COMMANDS,) = [block.text for block in blocks(PAGE)]
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
@pytest.mark.parametrize("line", [line for line in LINES if "dev.py" not in line])
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


@pytest.mark.skipif(os.name == "nt", reason="runs commands in bash")
def test_command_that_serves_the_site_works(project, environment, serve):
    (line,) = [line for line in LINES if "dev.py" in line]
    port = free_port()

    serve(
        ["bash", "-c", f"exec {line} --port {port}"],
        cwd=project,
        env=environment,
        url=f"http://127.0.0.1:{port}/livez",
    )

    assert fetch(f"http://127.0.0.1:{port}/")[0] == 200


def test_every_command_has_a_comment():
    for line in COMMANDS.splitlines():
        assert re.search(r"\S  +# \w", line), line


def test_every_path_exists(bake):
    page = (bake() / "AGENTS.md").read_text("utf-8")
    paths = re.findall(r"`([\w./-]+(?:/|\.\w+))`|\]\(([\w./]+)\)", page)

    assert len(paths) > 10
    for path in map("".join, paths):
        assert (bake() / path).exists(), path

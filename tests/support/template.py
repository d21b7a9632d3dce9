"""The template's own files."""

import json
import os
import subprocess
from pathlib import Path

import pytest

TEMPLATE = Path(__file__).resolve().parent.parent.parent
TREE = TEMPLATE / "{{cookiecutter.project_slug}}"
IN_PROJECT = TEMPLATE / "tests" / "in_project"  # Files that run inside a project.

CONTEXT = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))
# The questions that Cookiecutter asks, with their defaults, which may be Jinja.
QUESTIONS = {
    name: default for name, default in CONTEXT.items() if not name.startswith("_")
}

# The files that are rendered into a project, and the hooks.
SOURCES = sorted(
    path
    for folder in (TREE, TEMPLATE / "hooks")
    for path in folder.rglob("*")
    if path.is_file() and not {"__pycache__", ".ruff_cache"} & set(path.parts)
)


def sources(*suffixes):
    """Return parameters for a test of each file of SOURCES with one of `suffixes`."""
    return [
        pytest.param(path, id=path.relative_to(TEMPLATE).as_posix())
        for path in SOURCES
        if path.name.endswith(suffixes)
    ]


def publish(folder, history=False):
    """
    Commit the template as it is to a new bare repository in `folder`; return its path.

    With `history`, the commit follows the commits of the template's repository.
    """
    bare = folder / "django-starter.git"

    def git(*command):
        env = {**os.environ, "GIT_DIR": bare, "GIT_INDEX_FILE": folder / "index"}
        command = ("git", "--work-tree", TEMPLATE, *command)
        subprocess.run(command, env=env, cwd=TEMPLATE, check=True)

    command = ("git", "init", "--quiet", "--bare", "--initial-branch=main", bare)
    subprocess.run(command, check=True)
    if history:
        git("fetch", "--quiet", TEMPLATE, "HEAD:main")
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "--message=Newest")
    return bare

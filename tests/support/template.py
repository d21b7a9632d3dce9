"""The template's own files."""

import json
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

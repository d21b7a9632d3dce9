"""The template's own files."""

import ast
import itertools
import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from random import Random

import pytest
from cookiecutter.prompt import prompt_for_config
from cookiecutter.utils import create_env_with_context

TEMPLATE = Path(__file__).resolve().parent.parent.parent
TREE = TEMPLATE / "{{cookiecutter.project_slug}}"
IN_PROJECT = TEMPLATE / "tests" / "in_project"  # Files that run inside a project.

CONTEXT = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))
# The questions that Cookiecutter asks, with their defaults, which may be Jinja.
QUESTIONS = {
    name: default for name, default in CONTEXT.items() if not name.startswith("_")
}
# All variables, as they are when each question is answered with Enter.
DEFAULTS = prompt_for_config({"cookiecutter": {**CONTEXT}}, no_input=True)
# The questions with a list of answers, of which the first is the default.
CHOICES = {
    name: answers for name, answers in QUESTIONS.items() if isinstance(answers, list)
}

# The files that are rendered into a project, and the hooks.
SOURCES = sorted(
    path
    for folder in (TREE, TEMPLATE / "hooks")
    for path in folder.rglob("*")
    if path.is_file() and not {"__pycache__", ".ruff_cache"} & set(path.parts)
)


def assigned(path, name):
    """Return the literal that a Python file assigns to a name, without running it."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f"{path} does not assign {name}.")


def all_pairs(choices):
    """Return answers to all questions, several times, with each pair of two answers."""
    return min((cover_pairs(choices, Random(seed)) for seed in range(50)), key=len)


def cover_pairs(choices, random):
    missing = {
        frozenset([(first, a), (second, b)])
        for first, second in itertools.combinations(choices, 2)
        for a in choices[first]
        for b in choices[second]
    }
    rows = []
    while missing:
        row = dict(random.choice(sorted(map(sorted, missing))))
        for question in random.sample(list(choices), len(choices)):
            if question not in row:
                row[question] = max(
                    choices[question],
                    key=lambda answer: sum(
                        pair <= {*row.items(), (question, answer)} for pair in missing
                    ),
                )
        missing = {pair for pair in missing if not pair <= set(row.items())}
        rows.append({question: row[question] for question in choices})
    return rows


def render(text, **answers):
    """Return a text of the template as Cookiecutter renders it, with some answers."""
    return parse(text).render(cookiecutter={**DEFAULTS, **answers})


@cache
def parse(text):
    return create_env_with_context({"cookiecutter": DEFAULTS}).from_string(text)


def sources(*suffixes):
    """Return parameters for a test of each file of SOURCES with one of `suffixes`."""
    return [
        pytest.param(path, id=path.relative_to(TEMPLATE).as_posix())
        for path in SOURCES
        if path.name.endswith(suffixes)
    ]


def copy_template(folder):
    """Copy the template, without git's files and what tools leave; return the copy."""
    ignored = (
        ".git",
        ".venv",
        ".*_cache",
        ".hypothesis",
        "__pycache__",
        "node_modules",
    )
    return shutil.copytree(TEMPLATE, folder, ignore=shutil.ignore_patterns(*ignored))


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

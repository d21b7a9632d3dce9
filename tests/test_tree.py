"""The template's tree as source, and the tree that comes out of it."""

import ast
import fnmatch
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

TEMPLATE = Path(__file__).resolve().parent.parent
TREE = TEMPLATE / "{{cookiecutter.project_slug}}"

# What ends up in a generated project, or is read to make one.
SOURCES = sorted(
    path
    for folder in (TREE, TEMPLATE / "hooks")
    for path in folder.rglob("*")
    if path.is_file() and not {"__pycache__", ".ruff_cache"} & set(path.parts)
)


def is_cache(name):
    return name.endswith((".pyc", "_cache", "_cache/*", "__pycache__"))


def sources(*endings):
    return [
        pytest.param(path, id=path.relative_to(TEMPLATE).as_posix())
        for path in SOURCES
        if path.name.endswith(endings)
    ]


@pytest.mark.parametrize("path", sources(".py"))
def test_python_parses_before_it_is_rendered(path):
    ast.parse(path.read_text("utf-8"))


@pytest.mark.parametrize("path", sources(".toml"))
def test_toml_loads_before_it_is_rendered(path):
    tomllib.loads(path.read_text("utf-8"))


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff_accepts_the_template_as_it_stands(command):
    subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--no-cache", "."],
        cwd=TEMPLATE,
        check=True,
    )


@pytest.mark.parametrize("path", sources(""))
def test_no_source_needs_a_raw_block(path):
    assert not re.search(r"{%-?\s*raw", path.read_text("utf-8"))


@pytest.mark.parametrize("path", sources(""))
def test_no_name_is_reserved_on_windows(path):
    for part in path.relative_to(TEMPLATE).parts:
        assert not re.search(r'[<>:"|?*\\]|[. ]$', part)
        assert not re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", part)


def test_every_pattern_that_is_copied_unrendered_matches_a_file():
    questions = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))
    names = [str(path.relative_to(TREE)) for path in SOURCES if TREE in path.parents]
    for pattern in questions["_copy_without_render"]:
        assert fnmatch.filter(names, pattern) or is_cache(pattern), pattern


def test_what_tools_leave_in_the_tree_is_not_in_a_project(cookies, tmp_path):
    fork = tmp_path / "fork"
    shutil.copytree(
        TEMPLATE, fork, ignore=shutil.ignore_patterns(".git", "node_modules")
    )
    for name in (".ruff_cache/0.17/1", "pages/__pycache__/views.cpython-313.pyc"):
        file = fork / TREE.name / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"not text: \xff{{ cookiecutter.nothing }}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_STARTER_SKIP_BOOTSTRAP", "1")
        result = cookies.bake(template=str(fork))

    assert result.exception is None
    assert not [path for path in result.project_path.rglob("*") if is_cache(path.name)]


def test_nothing_of_the_template_is_left_in_a_project(bake):
    for path in bake().rglob("*"):
        if path.is_file() and ".git" not in path.parts:
            text = path.read_text("utf-8")
            assert "cookiecutter" not in text.lower(), path
            assert "#:" not in text, path
            if path.suffix != ".md" and "templates" not in path.parts:
                assert "{{" not in text, path
                assert "{%" not in text, path


def test_the_style_sheet_can_be_read_at_one_sitting():
    assert (TREE / "static" / "site.css").stat().st_size < 10_000


# What the project is deployed with, which its owner may do without.
DEPLOYMENT = {
    ".dockerignore",
    "Dockerfile",
    "compose.yaml",
    "deploy",
    "docs",
    "kubernetes",
}


@pytest.mark.parametrize(
    ("is_deployment", "most_files", "most_lines"), [(False, 80, 4010), (True, 13, 700)]
)
def test_a_project_stays_small(bake, is_deployment, most_files, most_lines):
    files = [
        path
        for path in bake().rglob("*")
        if path.is_file() and ".git" not in path.relative_to(bake()).parts
        if (path.relative_to(bake()).parts[0] in DEPLOYMENT) == is_deployment
    ]
    lines = [
        line
        for path in files
        for line in path.read_text("utf-8").splitlines()
        if line.strip()
    ]

    assert len(files) <= most_files
    assert len(lines) <= most_lines

"""The files of the template before they are rendered, and after."""

import ast
import fnmatch
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from support.template import CONTEXT, SOURCES, TEMPLATE, TREE, copy_template, sources


def is_cache(name):
    return name.endswith((".pyc", "_cache", "_cache/*", "__pycache__"))


@pytest.mark.parametrize("path", sources(".py"))
def test_python_parses_before_it_is_rendered(path):
    ast.parse(path.read_text("utf-8"))


@pytest.mark.parametrize("path", sources(".toml"))
def test_toml_loads_before_it_is_rendered(path):
    tomllib.loads(path.read_text("utf-8"))


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff_finds_no_errors_in_the_template(command):
    subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--no-cache", "."],
        cwd=TEMPLATE,
        check=True,
    )


@pytest.mark.parametrize("path", sources(""))
def test_no_file_has_a_raw_block(path):
    assert not re.search(r"{%-?\s*raw", path.read_text("utf-8"))


@pytest.mark.parametrize("path", sources(""))
def test_file_name_is_valid_on_windows(path):
    for part in path.relative_to(TEMPLATE).parts:
        assert not re.search(r'[<>:"|?*\\]|[. ]$', part)
        assert not re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", part)


def test_no_two_file_names_differ_in_case_only():
    # On Windows and macOS, they would be one file.
    names = [path.relative_to(TEMPLATE).as_posix().lower() for path in SOURCES]
    assert len(names) == len(set(names))


def test_paths_leave_room_on_windows():
    # Windows allows 260 characters. The folder of the project needs some of them.
    assert max(len(str(path.relative_to(TEMPLATE))) for path in SOURCES) < 140


def test_every_pattern_of_files_that_are_not_rendered_matches_a_file():
    names = [str(path.relative_to(TREE)) for path in SOURCES if TREE in path.parents]
    for pattern in CONTEXT["_copy_without_render"]:
        assert fnmatch.filter(names, pattern) or is_cache(pattern), pattern


def test_caches_in_the_template_are_not_copied_to_a_project(cookies, tmp_path):
    fork = copy_template(tmp_path / "fork")
    for name in (".ruff_cache/0.17/1", "pages/__pycache__/views.cpython-313.pyc"):
        file = fork / TREE.name / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"not text: \xff{{ cookiecutter.nothing }}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_STARTER_SKIP_BOOTSTRAP", "1")
        result = cookies.bake(template=str(fork))

    assert result.exception is None
    assert not [path for path in result.project_path.rglob("*") if is_cache(path.name)]


def test_project_has_no_template_syntax(bake):
    for path in bake().rglob("*"):
        if path.is_file() and not {".git", ".cruft.json"} & {*path.parts}:
            text = path.read_text("utf-8")
            assert not re.search(r"{{ ?cookiecutter|cookiecutter\.\w", text), path
            assert "#:" not in text, path
            if path.suffix != ".md" and not {"templates", "workflows"} & {*path.parts}:
                assert "{{" not in text, path
                assert "{%" not in text, path


@pytest.mark.parametrize("path", sources(".yaml", ".yml"))
def test_yaml_loads_before_it_is_rendered(path):
    assert list(yaml.safe_load_all(path.read_text("utf-8")))


@pytest.mark.parametrize(
    "path", [path for path in sources("") if path.values[0].suffix != ".py"]
)
def test_no_blank_line_follows_a_condition(path):
    """Jinja removes it, and two paragraphs of a page become one."""
    assert not re.search(r"(?m)^ *#:.*\n\n", path.read_text("utf-8"))

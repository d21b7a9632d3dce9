"""The template's README: its commands are run as written, and its tables are correct."""

import os
import re
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path

import pytest
from support.markdown import blocks
from support.project import python_of
from support.template import CHOICES, DEFAULTS, QUESTIONS, TEMPLATE, publish

README = (TEMPLATE / "README.md").read_text("utf-8")
# The address of the template, of which the tests use their own copy.
ADDRESS = re.search(r"cookiecutter (\S+)$", README, re.MULTILINE)[1]
TEST_COMMAND = blocks(README)[-1].text.strip()


@pytest.fixture
def repository(tmp_path):
    """Return the URL of a bare repository with one commit of the template as it is."""
    return publish(tmp_path).as_uri()


def environment(tmp_path, *folders):
    """Return an environment without uv, and with `folders` first on PATH."""
    config = tmp_path / "cookiecutter.yaml"
    config.write_text(f"cookiecutters_dir: {tmp_path}\nreplay_dir: {tmp_path}\n")
    without_uv = (
        folder
        for folder in os.environ["PATH"].split(os.pathsep)
        if not Path(folder, "uv").exists()
    )
    return {
        **os.environ,
        "PATH": os.pathsep.join([*map(str, folders), *without_uv]),
        "COOKIECUTTER_CONFIG": str(config),
    }


def make_project(commands, repository, folder, env):
    """Run commands of the README; answer each question with Enter; return the output."""
    folder.mkdir()
    commands = commands.replace(ADDRESS, repository)
    result = subprocess.run(
        ["bash", "-e", "-c", commands],
        cwd=folder,
        env=env,
        input="\n" * len(QUESTIONS),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


def assert_is_ready(project):
    def output_of(*command):
        return subprocess.run(
            command, cwd=project, stdout=subprocess.PIPE, encoding="utf-8", check=True
        ).stdout

    assert output_of(python_of(project), "-m", "django", "--version").startswith("6.1")
    assert output_of(python_of(project), "manage.py", "migrate", "--check") == ""
    assert re.search(r"^SECRET_KEY=\S{50}", (project / ".env").read_text(), re.M)
    assert output_of("git", "log", "--format=%s") == "First commit\n"
    assert output_of("git", "status", "--porcelain") == ""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="runs commands in bash")
def test_first_command_needs_only_python(repository, tmp_path):
    pip_only, folder = tmp_path / "pip only", tmp_path / "Mes Projets é"
    subprocess.run(
        [
            *(sys.executable, "-m", "uv", "venv", "--quiet", "--seed", str(pip_only)),
            *("--python", getattr(sys, "_base_executable", sys.executable)),
        ],
        check=True,
    )
    bin_folder = pip_only / "bin"

    output = make_project(
        blocks(README)[0].text, repository, folder, environment(tmp_path, bin_folder)
    )

    assert_is_ready(folder / DEFAULTS["project_slug"])
    assert f"{DEFAULTS['project_slug']} is ready. Type next:" in output


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="runs commands in bash")
def test_uvx_command_works(repository, tmp_path):
    uv_only, folder = tmp_path / "uv only", tmp_path / "projects"
    uv_only.mkdir()
    for name in ("uv", "uvx"):
        (uv_only / name).symlink_to(Path(sys.executable).with_name(name))
    # The output names a Python of the user's shell, not the one of uvx.
    (uv_only / "python").symlink_to(sys._base_executable)
    (command,) = (block.text for block in blocks(README) if "uvx cookie" in block.text)

    output = make_project(command, repository, folder, environment(tmp_path, uv_only))

    assert_is_ready(folder / DEFAULTS["project_slug"])
    (shown,) = (block.text for block in blocks(README) if block.language == "text")
    seconds = re.compile(r" +[\d.]+ s$", re.MULTILINE)
    assert seconds.sub("", shown) in seconds.sub("", output)


def test_minimum_python_is_that_of_cookiecutter():
    minimum = metadata("cookiecutter")["Requires-Python"].removeprefix(">=")

    assert f"You need Python {minimum} or newer" in README


def test_table_of_questions_is_complete():
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", README, re.MULTILINE)

    assert [name for name, _ in rows] == list(QUESTIONS)
    for name, default in rows:
        answer = CHOICES[name][0] if name in CHOICES else QUESTIONS[name]
        assert default.split(", ")[0] == answer or "{{" in answer


def test_ci_runs_the_test_command():
    script = (TEMPLATE / ".ci" / "run").read_text("utf-8")

    for command in TEST_COMMAND.splitlines():
        assert command in script.replace("--quiet ", "").splitlines()

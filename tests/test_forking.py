"""docs/forking.md: what a fork changes, and what the tests say about it."""

import json
import os
import subprocess
import sys

import pytest
from support.template import CHOICES, CONTEXT, copy_template

pytestmark = pytest.mark.slow

QUESTION = next(question for question in CHOICES if len(CHOICES[question]) > 2)


@pytest.fixture
def fork(tmp_path):
    """Return a copy of the template."""
    return copy_template(tmp_path / "fork")


def change_answers(fork, change):
    """Apply a function to the list of answers to QUESTION."""
    path = fork / "cookiecutter.json"
    context = json.loads(path.read_text("utf-8"))
    change(context[QUESTION])
    path.write_text(json.dumps(context), "utf-8")


def failures(fork):
    """Run the tests of a fork that make no project; return the failed ones, and why."""
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-n",
                "0",
                "-p",
                "no:cacheprovider",
            ),
            *("tests/test_choices.py", "tests/test_readme.py", "tests/test_tree.py"),
            *("-m", "not slow", "-k", "not ruff and not project"),
        ],
        cwd=fork,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    lines = done.stdout.splitlines()
    return (
        [line.split(" - ")[0] for line in lines if line.startswith("FAILED ")],
        "\n".join(line for line in lines if line.startswith("E  ")),
    )


def test_new_answer_fails_one_test_that_says_what_it_needs(fork):
    change_answers(fork, lambda answers: answers.append("new"))

    failed, why = failures(fork)

    assert failed == [
        f"FAILED tests/test_choices.py::test_answer_is_complete[{QUESTION}-new]"
    ]
    assert f"{QUESTION}=new still needs: a label in __prompts__" in why
    assert "its name in the row" in why
    assert f'#: if cookiecutter.{QUESTION} == "new"' in why


def test_retired_answer_fails_one_test_that_says_what_is_left(fork):
    retired = CHOICES[QUESTION][-2]
    change_answers(fork, lambda answers: answers.remove(retired))

    failed, why = failures(fork)

    assert failed == [
        "FAILED tests/test_choices.py::"
        f"test_nothing_is_left_of_a_retired_answer[{QUESTION}]"
    ]
    assert f"the label {retired!r} in __prompts__ of cookiecutter.json" in why
    assert f"{retired!r} in README.md" in why
    assert CONTEXT["__prompts__"][QUESTION][retired]


def test_question_that_is_left_in_paths_makes_no_project(fork, cookies, capfd):
    hook = fork / "hooks" / "post_gen_project.py"
    text = hook.read_text("utf-8")
    assert text.count("PATHS = {\n") == 1
    hook.write_text(text.replace("PATHS = {", 'PATHS = {\n    "retired": {},'), "utf-8")

    result = cookies.bake(template=str(fork))

    assert result.exit_code
    assert not result.project_path
    assert capfd.readouterr().err.splitlines()[0] == (
        "No project is made, because files of other answers cannot be deleted "
        "(KeyError('retired'))."
    )

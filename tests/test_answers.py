"""Answers to the questions: which are rejected, and how the others are rendered."""

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.project import python_of
from support.template import (
    CHOICES,
    CONTEXT,
    DEFAULTS,
    QUESTIONS,
    TEMPLATE,
    assigned,
    copy_template,
    render,
)

PRE_GEN_HOOK = TEMPLATE / "hooks" / "pre_gen_project.py"

REJECTED = [
    # Not a Python name in lower case, or not a name for pyproject.toml.
    ("project_slug", "MySite"),
    ("project_slug", "my-site"),
    ("project_slug", "my site"),
    ("project_slug", "2048"),
    ("project_slug", "my.site"),
    ("project_slug", "été"),
    ("project_slug", "мойсайт"),
    ("project_slug", "_site"),
    ("project_slug", "site_"),
    ("project_slug", "my___site"),
    ("project_slug", "my'site"),
    ("project_slug", 'my"""site\\'),
    ("project_slug", "a\nb"),
    # The name of something else.
    ("project_slug", "class"),
    ("project_slug", "email"),
    ("project_slug", "calendar"),
    ("project_slug", "annotationlib"),
    ("project_slug", "django"),
    ("project_slug", "uvicorn"),
    ("project_slug", "django__environ"),
    ("project_slug", "news"),
    ("project_slug", "users"),
    ("project_slug", "allauth"),
    ("project_slug", "rest_framework"),
    ("project_slug", "accounts"),
    ("project_slug", "tests"),
    ("project_slug", "con"),
    ("project_slug", "com1"),
    # Too long for useradd.
    ("project_slug", "s" * 33),
    # Empty, but required.
    ("project_name", ""),
    ("project_name", "   "),
    ("author_name", ""),
    ("author_email", ""),
    # Invisible characters that break lines or reverse text.
    ("project_name", "My\nSite"),
    ("project_name", "My\x00Site"),
    ("project_name", "My\x1b[31mSite"),
    ("project_name", "My\u2028Site"),
    ("project_name", "My\u202eSite"),
    ("description", "A\tsite"),
    ("description", "A\u2066site"),
    ("author_name", "Ada\r\nLovelace"),
    ("author_email", "ada@example.com\nbcc: x@example.com"),
    # Text that e-mail headers change.
    ("project_name", "My  Site"),
    ("project_name", "My Site "),
    ("author_name", " Ada"),
    ("project_name", "=?utf-8?q?My_Site?="),
    # Not an e-mail address, or not one that settings.py can use.
    ("author_email", "ada"),
    ("author_email", "ada@example"),
    ("author_email", "@example.com"),
    ("author_email", "ada lovelace@example.com"),
    ("author_email", "ada@@example.com"),
    ("author_email", "ada\u202e@example.com"),
    ("author_email", "zoë@example.com"),
    ("author_email", "a..b@example.com"),
    ("author_email", "<ada@example.com>"),
    ("author_email", "ada@example..com"),
    ("author_email", "ada@example.com."),
    ("author_email", "(Ada)ada@example.com"),
]

ACCEPTED = [
    ("project_slug", "a"),
    ("project_slug", "my_site"),
    ("project_slug", "site2048"),
    ("project_slug", "match"),
    ("project_slug", "my__site"),
    ("project_slug", "s" * 32),
    ("description", ""),
    ("author_email", "ada+site@mail.example.co.uk"),
    ("author_email", "o'neill@example.com"),
    ("author_email", "ada@exåmple.com"),
]

TEXTS = {
    "quotes": 'The "best" of \'all\' `sites` """',
    "backslashes": "C:\\new\\table\\u0041 \\",
    "markup": "<b>Fish & chips</b> &amp; </script><!--",
    "percent": "100 % %s %(name)s {0} $HOME",
    "line statement": "Issue #: if 1 #: endif",
    "emoji": "👩‍👩‍👧‍👦 Family ❤️ 🏳️‍🌈",
    "right to left": "موقع جميل \u200fשל\u05d5ם",
    "accents": "Été à Zürich \u2013 l\u2019Œuvre №1",
    "hash": "# Not a comment; = [not] {a: table}",
}


@pytest.mark.parametrize(("question", "answer"), REJECTED)
def test_rejected_answer_names_the_question_and_a_better_answer(
    cookies, bake, capfd, tmp_path, question, answer
):
    result = cookies.bake(extra_context={question: answer})
    sentence = capfd.readouterr().err.splitlines()[0]

    assert result.exit_code != 0
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sentence.startswith(f"{question} cannot be ")
    better = ast.literal_eval(sentence.rpartition("; try ")[2].rstrip("."))
    assert bake(**{question: better}).is_dir()


@pytest.mark.parametrize(("question", "answer"), ACCEPTED)
def test_valid_answer_is_accepted(bake, question, answer):
    assert bake(**{question: answer}).is_dir()


@pytest.mark.slow
@pytest.mark.parametrize(
    "email", [answer for question, answer in ACCEPTED if question == "author_email"]
)
def test_accepted_email_address_works_in_settings(project, bake, email):
    path = bake(author_email=email)
    subprocess.run(
        [python_of(project), "manage.py", "shell", "-c", "", "--no-imports"],
        cwd=path,
        env={**os.environ, "DEBUG": "true", "SECRET_KEY": "k" * 50},
        check=True,
    )


def test_every_question_has_a_prompt():
    assert list(CONTEXT["__prompts__"]) == list(QUESTIONS)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Night Sky", "night_sky"),
        ("2048 Game", "site_2048_game"),
        ("2048", "site_2048"),
        ("Gardens", "gardens_site"),
        ("Django", "django_site"),
        ("Email", "email_site"),
        ("Class", "class_site"),
        ("Con", "con_site"),
        ("s" * 99, "s" * 27 + "_site"),
        ("2" * 99, "site_" + "2" * 27),
        ("🎉🎉", "my_site"),
        ("Été à Zürich", "ete_a_zurich"),
        ("موقع جميل", "mwq_jmyl"),
        ("O'Neill's", "o_neill_s"),
    ],
)
def test_default_slug_is_made_from_the_name(name, slug):
    assert render(CONTEXT["project_slug"], project_name=name) == slug


def slugs(names):
    return {name for name in names if re.fullmatch("[a-z][a-z0-9_]*", name)}


def test_names_of_the_installed_packages_are_taken(project):
    (site_packages,) = python_of(project).parent.parent.rglob("site-packages")
    names = set()
    for package in importlib.metadata.distributions(path=[str(site_packages)]):
        names.add(re.sub(r"[-_.]+", "_", package.name).lower())
        tops = {Path(file).parts[0] for file in package.files or []}
        names |= {
            top.partition(".")[0] for top in tops if not top.endswith(("-info", ".pth"))
        }
    missing = slugs(names) - {"py"} - {*assigned(PRE_GEN_HOOK, "PACKAGES").split()}
    assert not missing, f"Add to PACKAGES in hooks/pre_gen_project.py: {missing}"


def test_names_of_the_folders_and_files_are_taken(bake):
    project = bake()
    # On Windows and macOS, Dockerfile and dockerfile are the same.
    names = slugs(path.stem.lower() for path in project.iterdir())
    taken = {*assigned(PRE_GEN_HOOK, "FOLDERS_AND_FILES").split()}
    missing = names - taken - {project.name, "readme", "pyproject"}
    assert not missing, f"Add to FOLDERS_AND_FILES in the same file: {missing}"


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_text_is_rendered_unchanged(bake, text):
    project = bake(project_name=text, description=text, author_name=text)

    table = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    assert table["description"] == text
    assert table["authors"][0]["name"] == text
    assert assigned(project / project.name / "settings.py", "SITE") == {
        "name": text,
        "description": text,
        "email": DEFAULTS["author_email"],
    }
    assert text in (project / "README.md").read_text("utf-8")


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("command", ["check", "format --check"])
def test_rendered_code_passes_ruff(bake, text, command):
    project = bake(project_name=text, description=text, author_name=text)
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command.split(), "--no-cache", project],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def type_answers(folder, *answers):
    """Type the answers, and return what Cookiecutter then did."""
    return subprocess.run(
        [sys.executable, "-m", "cookiecutter", TEMPLATE, "--output-dir", folder],
        input="\n".join([*answers, *("" for _ in CHOICES), ""]),
        env={
            **os.environ,
            "DJANGO_STARTER_SKIP_BOOTSTRAP": "1",
            "COOKIECUTTER_CONFIG": os.devnull,
            "HOME": str(folder),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )


def test_typed_answer_is_not_rendered_as_a_template(tmp_path):
    name = "}} 7 * 7 %} #} #: if { {"
    done = type_answers(tmp_path, name, "typed", "A site.", "Ada", "ada@example.com")
    assert done.returncode == 0
    settings = tmp_path / "typed" / "typed" / "settings.py"
    assert assigned(settings, "SITE")["name"] == name


@pytest.mark.parametrize(
    "code", ["{{ no }}", "{% set a = 1 %}", "A {# site", "#: if 1"]
)
def test_typed_answer_that_an_update_would_render_is_rejected(tmp_path, code):
    done = type_answers(tmp_path, "Typed", "typed", code, "Ada", "ada@example.com")
    assert done.returncode != 0
    assert done.stderr.startswith(
        f"description cannot be {code!r}, which an update would run as a template; "
    )
    assert not (tmp_path / "typed").exists()


def test_template_with_windows_line_endings_makes_a_project(
    cookies, tmp_path, monkeypatch
):
    fork = copy_template(tmp_path / "fork")
    for path in fork.rglob("*"):
        if path.is_file() and b"\0" not in path.read_bytes():
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    monkeypatch.setenv("DJANGO_STARTER_SKIP_BOOTSTRAP", "1")
    result = cookies.bake(template=str(fork))
    assert result.exception is None
    for path in result.project_path.rglob("*.py"):
        compile(path.read_bytes(), path, "exec")
    tomllib.loads((result.project_path / "pyproject.toml").read_text("utf-8"))

"""Answers to the questions: which are refused, and that all others arrive intact."""

import ast
import importlib.metadata
import json
import keyword
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cookiecutter.generate import generate_context
from cookiecutter.prompt import prompt_for_config
from support.project import python_of
from support.template import TEMPLATE

QUESTIONS = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))
TAKEN = {
    name: owner
    for owner, lines in QUESTIONS["_slugs_taken"].items()
    for name in " ".join(lines).split()
}
ASKED = [question for question in QUESTIONS if not question.startswith("_")]

REFUSED = [
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
    ("project_slug", "my'site"),
    ("project_slug", 'my"""site\\'),
    ("project_slug", "a\nb"),
    # Somebody else's name.
    ("project_slug", "class"),
    ("project_slug", "email"),
    ("project_slug", "calendar"),
    ("project_slug", "annotationlib"),
    ("project_slug", "django"),
    ("project_slug", "uvicorn"),
    ("project_slug", "allauth"),
    ("project_slug", "accounts"),
    ("project_slug", "tests"),
    ("project_slug", "con"),
    ("project_slug", "com1"),
    # Too long.
    ("project_slug", "s" * 41),
    # Empty where something has to be said.
    ("project_name", ""),
    ("project_name", "   "),
    ("author_name", ""),
    ("author_email", ""),
    # Invisible, and it breaks lines or turns text round.
    ("project_name", "My\nSite"),
    ("project_name", "My\x00Site"),
    ("project_name", "My\x1b[31mSite"),
    ("project_name", "My\u2028Site"),
    ("project_name", "My\u202eSite"),
    ("description", "A\tsite"),
    ("description", "A\u2066site"),
    ("author_name", "Ada\r\nLovelace"),
    ("author_email", "ada@example.com\nbcc: x@example.com"),
    # Not an e-mail address.
    ("author_email", "ada"),
    ("author_email", "ada@example"),
    ("author_email", "@example.com"),
    ("author_email", "ada lovelace@example.com"),
    ("author_email", "ada@@example.com"),
    ("author_email", "ada\u202e@example.com"),
]

ACCEPTED = [
    ("project_slug", "a"),
    ("project_slug", "my_site"),
    ("project_slug", "site2048"),
    ("project_slug", "match"),
    ("project_slug", "s" * 40),
    ("description", ""),
    ("author_email", "ada+site@mail.example.co.uk"),
    ("author_email", "o'neill@example.com"),
    ("author_email", "ådå@exåmple.com"),
]

INTACT = {
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


@pytest.mark.parametrize(("question", "answer"), REFUSED)
def test_a_refusal_names_the_question_and_an_answer_that_would_do(
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
def test_an_answer_that_works_is_accepted(bake, question, answer):
    assert bake(**{question: answer}).is_dir()


def test_every_question_says_what_it_is_for():
    assert list(QUESTIONS["__prompts__"]) == ASKED


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("My Site", "my_site"),
        ("2048 Game", "site_2048_game"),
        ("Django", "django_site"),
        ("Calendar", "calendar_site"),
        ("Class", "class_site"),
        ("Con", "con_site"),
        ("🎉🎉", "my_site"),
        ("Été à Zürich", "ete_a_zurich"),
        ("موقع جميل", "mwq_jmyl"),
        ("O'Neill's", "o_neill_s"),
    ],
)
def test_the_slug_offered_is_made_from_the_name(name, slug):
    context = generate_context(
        str(TEMPLATE / "cookiecutter.json"), extra_context={"project_name": name}
    )
    assert prompt_for_config(context, no_input=True)["project_slug"] == slug


def test_names_of_this_python_are_taken():
    names = {*keyword.kwlist, *sys.stdlib_module_names}
    # Gone from Python 3.12, the oldest that a project runs on.
    gone = {"asynchat", "asyncore", "binhex", "distutils", "imp", "smtpd"}
    assert {n for n in names if re.fullmatch("[a-z][a-z0-9_]*", n)} - gone <= set(TAKEN)


def test_names_of_the_installed_packages_are_taken(project):
    (site_packages,) = python_of(project).parent.parent.rglob("site-packages")
    names = set()
    for package in importlib.metadata.distributions(path=[str(site_packages)]):
        names.add(re.sub(r"[-_.]+", "_", package.name).lower())
        tops = {Path(file).parts[0] for file in package.files or []}
        names |= {
            top.partition(".")[0] for top in tops if not top.endswith(("-info", ".pth"))
        }
    names = {name for name in names if re.fullmatch("[a-z][a-z0-9_]*", name)}
    assert names - {"py"} <= set(TAKEN)


def test_names_of_the_folders_are_taken(bake):
    project = bake()
    # Where upper and lower case are the same, as on Windows, Dockerfile is taken, too.
    names = {path.stem.lower() for path in project.iterdir()}
    names = {name for name in names if name.isidentifier()}
    assert names - {project.name, "readme", "pyproject"} <= set(TAKEN)


def site_settings(project):
    """Return what settings.py assigns to SITE, without running it."""
    tree = ast.parse((project / project.name / "settings.py").read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SITE":
            return ast.literal_eval(node.value)
    raise AssertionError("settings.py assigns no SITE.")


@pytest.mark.parametrize("text", INTACT.values(), ids=INTACT)
def test_text_arrives_intact(bake, text):
    project = bake(project_name=text, description=text, author_name=text)

    table = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    assert table["description"] == text
    assert table["authors"][0]["name"] == text
    assert site_settings(project) == {
        "name": text,
        "description": text,
        "email": "you@example.com",
    }
    assert text in (project / "README.md").read_text("utf-8")


@pytest.mark.parametrize("text", INTACT.values(), ids=INTACT)
@pytest.mark.parametrize("command", ["check", "format --check"])
def test_text_leaves_the_code_clean(bake, text, command):
    project = bake(project_name=text, description=text, author_name=text)
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command.split(), "--no-cache", project],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_text_is_not_taken_for_a_template_when_it_is_typed(tmp_path):
    name = "#: if {{ 7 * 7 }} {% endraw %} {# #}"
    subprocess.run(
        [sys.executable, "-m", "cookiecutter", TEMPLATE, "--output-dir", tmp_path],
        input="\n".join([name, "typed", "A site.", "Ada", "ada@example.com", ""]),
        env={
            **os.environ,
            "DJANGO_STARTER_SKIP_BOOTSTRAP": "1",
            "COOKIECUTTER_CONFIG": os.devnull,
            "HOME": str(tmp_path),
        },
        encoding="utf-8",
        check=True,
    )
    assert site_settings(tmp_path / "typed")["name"] == name

"""The questions with a choice: each answer, and each pair of answers, makes a project."""

import ast
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from support.project import python_of, run
from support.server import fetch, free_port
from support.site import (
    HTTPS,
    PRODUCTION,
    assert_home_and_admin_are_styled,
    in_development,
)
from support.template import (
    CHOICES,
    CONTEXT,
    DEFAULTS,
    SOURCES,
    TEMPLATE,
    TREE,
    all_pairs,
    assigned,
    render,
    sources,
)

README = (TEMPLATE / "README.md").read_text("utf-8")
PATHS = assigned(TEMPLATE / "hooks" / "post_gen_project.py", "PATHS")

FIRST = {question: answers[0] for question, answers in CHOICES.items()}
# Each answer with the default answers to the other questions, and each pair of answers.
ONE_OTHER = [
    {**FIRST, question: answer}
    for question in CHOICES
    for answer in CHOICES[question][1:]
]
PAIRS = all_pairs(CHOICES)

# Words that a project has only if one of these answers was chosen. License texts, and the
# names of dependencies that are in every project, are not among them.
WORDS = {
    "api": {
        "django-ninja": r"\b[Nn]inja\b",
        "django-ninja|drf": r"\bapi/|allauth\.headless|_allauth/",
        "drf": r"rest_framework|REST framework|spectacular",
    },
    "ci": {
        "github": r"GitHub Actions|Dependabot|\.github/",
        "gitlab": r"gitlab",
    },
    "database": {"postgresql": r"POSTGRES_"},
    "deploy": {
        "containers|kubernetes": r"Dockerfile|\.dockerignore",
        "containers": r"compose\.yaml|docker compose|Swarm",
        "containers|server": r"Caddyfile",
        "containers|server|kubernetes": r"deploy/",
        "kubernetes": r"kubectl|deploy/kubernetes",
        "server": r"deploy/systemd|systemctl|journalctl",
    },
    "frontend": {"htmx": r"htmx", "vite": r"\b[Vv]ite\b|VITE|Tailwind|npm"},
    "license": {
        "Apache-2.0": r"Apache License|\"Apache-2\.0\"",
        "BSD-3-Clause": r"BSD 3-Clause|\"BSD-3-Clause\"",
        "MIT": r"MIT License|\"MIT\"",
        "Proprietary": "[Pp]roprietary",
    },
    "server": {"fast": r"fast lane|(?<!test)server/|server\.(handler|workers|threads)"},
}


# Warnings are errors, but for those about files that Django and WhiteNoise do not close.
STRICT = {
    "PYTEST_ADDOPTS": "-W error -W ignore::ResourceWarning "
    "-W ignore::pytest.PytestUnraisableExceptionWarning"
}
# Without the tests, which would be slower with coverage, and the audit, which needs the
# network.
STEPS = ["lint", "format", "templates", "types", "migrations", "deploy"]

PARSERS = {
    ".json": json.loads,
    ".py": ast.parse,
    ".toml": tomllib.loads,
    ".yaml": lambda text: list(yaml.safe_load_all(text)),
    ".yml": lambda text: list(yaml.safe_load_all(text)),
}


def label(answers):
    return "-".join(answers[question] for question in CHOICES)


def find_pythons():
    """Return the Pythons of this machine that a project can have, in turns."""
    folders = [*os.environ["PATH"].split(os.pathsep)]
    versions = Path.home() / ".pyenv" / "versions"
    found = [
        shutil.which(
            f"python{version}",
            path=os.pathsep.join(
                [*map(str, versions.glob(f"{version}.*/bin")), *folders]
            ),
        )
        for version in ("3.12", "3.13", "3.14")
    ]
    return [path for path in found if path] or [sys.executable]


def text_files(project):
    for path in project.rglob("*"):
        if path.is_file() and path.suffix not in {".sqlite3", ".lock", ".png", ".ico"}:
            parts = path.relative_to(project).parts
            if parts[0] not in {".git", ".venv", "node_modules"}:
                yield path, path.read_text("utf-8")


def conditions():
    """Yield the path, the question and an answer of each condition in the template."""
    condition = re.compile(r"cookiecutter\.(\w+) (?:[!=]= (\S+)|in \((.+?)\))")
    for path in SOURCES:
        for question, one, several in condition.findall(path.read_text("utf-8")):
            for answer in re.findall(r"[\w.-]+", one or several):
                yield path, question, answer


def named_in_readme(question):
    (row,) = re.findall(rf"^\| `{question}` \| (.+?) \|", README, re.MULTILINE)
    return row.split(", ")


@pytest.mark.parametrize(
    ("question", "answer"),
    [(question, answer) for question in CHOICES for answer in CHOICES[question]],
)
def test_answer_is_complete(question, answer):
    """A new answer makes only this test fail, which says what it needs."""
    done = {
        f"a label in __prompts__.{question} of cookiecutter.json": (
            answer in CONTEXT["__prompts__"][question]
        ),
        f"its name in the row `{question}` of README.md": (
            answer in named_in_readme(question)
        ),
        "its paths in PATHS of hooks/post_gen_project.py, or a condition "
        f'(#: if cookiecutter.{question} == "{answer}") in a file': (
            answer in PATHS.get(question, ())
            or any(found[1:] == (question, answer) for found in conditions())
        ),
    }

    missing = [place for place, is_done in done.items() if not is_done]
    assert not missing, f"{question}={answer} still needs: " + "; ".join(missing)


@pytest.mark.parametrize("question", CHOICES)
def test_nothing_is_left_of_a_retired_answer(question):
    """A retired answer makes only this test fail, which says what to delete."""
    places = {
        f"the label {answer!r} in __prompts__ of cookiecutter.json": answer
        for answer in CONTEXT["__prompts__"][question]
        if answer != "__prompt__"
    }
    places |= {
        f"{answer!r} in README.md": answer for answer in named_in_readme(question)
    }
    places |= {f"{answer!r} in PATHS": answer for answer in PATHS.get(question, ())}
    places |= {
        f"the condition on {answer!r} in {path.relative_to(TREE.parent)}": answer
        for path, name, answer in conditions()
        if name == question
    }

    left = [place for place, name in places.items() if name not in CHOICES[question]]
    assert not left, f"No answer to {question}: " + "; ".join(left)


@pytest.mark.parametrize("question", PATHS)
def test_paths_of_answers_exist(question):
    for path in itertools.chain(*PATHS[question].values()):
        assert (TREE / path).exists(), path


def assert_nothing_of_other_answers(project, answers):
    for question, paths in PATHS.items():
        own = {*paths.get(answers.get(question), ())}
        for path in {*itertools.chain(*paths.values())}:
            assert (project / path).exists() == (path in own), path
    for question, words in WORDS.items():
        for owners, pattern in words.items():
            if answers.get(question) not in owners.split("|"):
                for path, text in text_files(project):
                    assert not re.search(pattern, text), (path, question)


@pytest.mark.parametrize("answers", ONE_OTHER, ids=label)
def test_project_has_nothing_of_other_answers(bake, answers):
    assert_nothing_of_other_answers(bake(**answers), answers)


@pytest.mark.parametrize("question", CHOICES)
def test_wrong_choice_ends_in_a_sentence_with_the_right_ones(question, tmp_path):
    command = [sys.executable, "-m", "cookiecutter", "--no-input", TEMPLATE]

    done = subprocess.run(
        [*command, f"{question}=wrong"],
        cwd=tmp_path,
        env={**os.environ, "COOKIECUTTER_CONFIG": os.devnull},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )

    assert done.returncode == 1
    last = done.stdout.splitlines()[-1]
    assert last.endswith(
        f"wrong provided for choice variable {question}, but the choices are "
        f"{CHOICES[question]}."
    )
    assert not any(tmp_path.iterdir())


def mentioned(text):
    """Return the questions with a choice on which a file depends."""
    return [name for name in CHOICES if f"cookiecutter.{name}" in text]


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in sources("")
        # HTML is not rendered; the hook resolves its conditions.
        if path.values[0].suffix != ".html"
        and mentioned(path.values[0].read_text("utf-8"))
    ],
)
def test_file_is_valid_with_every_combination_of_answers(path):
    """Only the questions that a file mentions change it, so these are all projects."""
    text = path.read_text("utf-8")
    questions = mentioned(text)
    for row in itertools.product(*(CHOICES[question] for question in questions)):
        answers = dict(zip(questions, row, strict=True))
        rendered = render(text, **answers)

        assert not re.search(r"#:|cookiecutter\.\w", rendered), answers
        assert "\n\n\n\n" not in rendered, answers
        if path.suffix in PARSERS:
            PARSERS[path.suffix](rendered)


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.skipif(os.name == "nt", reason="needs PostgreSQL")
@pytest.mark.parametrize(
    ("answers", "python"),
    list(zip(PAIRS, itertools.cycle(find_pythons()), strict=False)),
    ids=lambda value: label(value) if isinstance(value, dict) else "",
)
def test_project_is_checked_and_served(
    bake, serve, postgresql, use_mypy_cache, tmp_path, answers, python
):
    project = tmp_path / DEFAULTS["project_slug"]
    shutil.copytree(bake(**answers), project)
    assert_nothing_of_other_answers(project, answers)
    example = (project / ".env.example").read_text("utf-8")
    url, count = re.subn(
        "^DATABASE_URL=.+$",
        lambda _: f"DATABASE_URL={postgresql.new_database()}",
        example,
        flags=re.MULTILINE,
    )
    assert count == (answers["database"] == "postgresql")
    (project / ".env.example").write_text(url, "utf-8")
    subprocess.run(
        [python, "scripts/bootstrap.py"],
        cwd=project,
        stdout=subprocess.PIPE,
        check=True,
    )

    use_mypy_cache(answers["api"])
    for command in (["scripts/check.py", *STEPS], ["-m", "pytest", "-q"]):
        status, output = run(project, *command, env=STRICT)
        assert status == 0, output

    with in_development(project) as site:
        assert_home_and_admin_are_styled(site.origin)
    port = free_port()
    server = serve(
        [python_of(project), "scripts/serve.py"],
        cwd=project,
        env={**PRODUCTION, "PORT": str(port), "WEB_CONCURRENCY": "1"},
        url=f"http://127.0.0.1:{port}/livez",
    )
    for path in ("/", "/admin/"):
        assert fetch(f"http://localhost:{port}{path}", HTTPS)[0] == 200
    status, _, _ = fetch(f"http://localhost:{port}/api/v1/me/", HTTPS)
    assert status == (404 if answers["api"] == "none" else 401)

    # `systemctl reload` sends it.
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_output("Received SIGHUP")
    server.wait_until_up(f"http://127.0.0.1:{port}/livez")

"""Updates of a project from the template, by cruft and by git alone."""

import json
import os
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from support.markdown import blocks
from support.project import run
from support.template import CHOICES, DEFAULTS, TEMPLATE, publish

pytestmark = pytest.mark.skipif(os.name == "nt", reason="The fakes are shell scripts.")

TREE = "{{cookiecutter.project_slug}}"
SLUG, NAME = DEFAULTS["project_slug"], DEFAULTS["project_name"]
DESCRIPTION = DEFAULTS["description"]
SECTION = "Update it from its template"

# It stands in for uv, and leaves a mark where an environment would be made.
FAKE_UV = """\
#!/bin/sh
[ "$1" = --version ] && echo "uv 0.13.0" && exit
[ "$1" = venv ] && touch "{mark}"
exit 1
"""
# Without a package index: cookiecutter and cruft are those of the tests.
FAKE_UVX = '#!/bin/sh\nexec "{python}" -m "$@"\n'


def git(folder, *command):
    """Run git in a folder; return what it prints."""
    return subprocess.run(
        ["git", *command],
        cwd=folder,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    ).stdout.strip()


def commit(folder, message="Change"):
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--no-verify", f"--message={message}")


def replace(path, old, new):
    text = path.read_text("utf-8")
    assert text.count(old) == 1, f"{path} contains {text.count(old)} times: {old}"
    path.write_text(text.replace(old, new), "utf-8")


@pytest.fixture(scope="session")
def original(tmp_path_factory):
    return publish(tmp_path_factory.mktemp("original"))


@pytest.fixture
def machine(tmp_path, monkeypatch, original):
    """
    Return a machine with a published template, a clone of it, and no package index.

    `published` is the bare repository. `mark` exists after an environment was about to
    be made.
    """
    published, clone = tmp_path / "django-starter.git", tmp_path / "clone"
    shutil.copytree(original, published)
    git(tmp_path, "clone", "--quiet", published.as_uri(), clone)
    mark, bin_folder = tmp_path / "mark", tmp_path / "bin"
    bin_folder.mkdir()
    uv, uvx = bin_folder / "uv", bin_folder / "uvx"
    uv.write_text(FAKE_UV.format(mark=mark))
    uvx.write_text(FAKE_UVX.format(python=sys.executable))
    uv.chmod(0o755)
    uvx.chmod(0o755)
    (bin_folder / "python").symlink_to(sys.executable)
    # Cookiecutter reads its configuration and keeps clones there.
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{bin_folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("UV", str(uv))
    return SimpleNamespace(published=published, clone=clone, mark=mark, folder=tmp_path)


def make(command, folder, status=0, **env):
    """Run a command in a folder; return what it prints."""
    done = subprocess.run(
        command if isinstance(command, list) else ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PWD": str(folder), **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == status, done.stdout
    return done.stdout


def make_files(command, folder):
    """Run a command that makes a project, without its environment."""
    return make(command, folder, DJANGO_STARTER_SKIP_BOOTSTRAP="1")


def state_of(project):
    return json.loads((project / ".cruft.json").read_text("utf-8"))


# What is recorded


@pytest.fixture
def monorepo(machine):
    """Return a clone of a repository that has the template in the folder `starter`."""
    starter = machine.clone / "starter"
    starter.mkdir()
    for name in git(machine.clone, "ls-tree", "--name-only", "HEAD").splitlines():
        git(machine.clone, "mv", name, f"starter/{name}")
    commit(machine.clone)
    git(machine.clone, "push", "--quiet")
    return machine.clone


@pytest.mark.slow
@pytest.mark.parametrize("options", ["", "--checkout main", "--directory starter"])
def test_cookiecutter_leaves_the_file_that_cruft_writes(machine, options, request):
    if "--directory" in options:
        request.getfixturevalue("monorepo")
    for tool in ("cookiecutter", "cruft create"):
        folder = machine.folder / tool
        folder.mkdir()
        # cruft makes a path of this URL.
        url = machine.published.as_uri()
        make_files(f"uvx {tool} {url} --no-input {options}", folder)
    ours, theirs = (
        (machine.folder / tool / SLUG / ".cruft.json").read_text("utf-8")
        for tool in ("cookiecutter", "cruft create")
    )

    assert ours.replace("file://", "") == theirs


@pytest.mark.slow
def test_project_follows_releases(machine):
    for version in ("v1.0", "v1.1", "main"):
        (machine.clone / TREE / "VERSION").write_text(version)
        commit(machine.clone)
        if version != "main":
            git(machine.clone, "tag", version)
    git(machine.clone, "push", "--quiet", "--tags", "origin", "HEAD")
    url, project = machine.published.as_uri(), machine.folder / SLUG

    make_files(f"uvx cookiecutter --no-input {url} --checkout v1.0", machine.folder)
    assert (project / "VERSION").read_text() == "v1.0"
    assert state_of(project)["commit"] == git(machine.clone, "rev-parse", "v1.0")
    git(project, "init", "--quiet")
    commit(project)

    make("uvx cruft check --checkout v1.0", project)
    make("uvx cruft check --checkout v1.1", project, status=1)
    make("uvx cruft update --skip-apply-ask --checkout v1.1", project)
    assert (project / "VERSION").read_text() == "v1.1"
    make("uvx cruft check --checkout v1.1", project)


def test_first_commit_contains_the_file(machine):
    make(f"uvx cookiecutter --no-input {machine.published.as_uri()}", machine.folder)
    project = machine.folder / SLUG

    assert git(project, "ls-files", ".cruft.json") == ".cruft.json"
    assert git(project, "status", "--porcelain") == ""
    # Otherwise, no test would notice an environment in a scratch folder.
    assert machine.mark.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("template", "options"),
    [
        ("{published}", ""),
        ("starter:django-starter", ""),
        ("{folder}/clone", ""),
        ("../clone", ""),
        ("../clone", "--output-dir elsewhere"),
    ],
)
def test_address_is_where_the_commit_was_published(machine, template, options):
    url = machine.published.as_uri()
    (machine.folder / ".cookiecutterrc").write_text(
        f"abbreviations:\n  starter: {machine.folder.as_uri()}/{{0}}.git\n"
    )
    work = machine.folder / "work"
    work.mkdir()
    template = template.format(published=url, folder=machine.folder)
    make_files(f"uvx cookiecutter --no-input {template} {options}", work)
    (recorded,) = work.rglob(".cruft.json")

    assert state_of(recorded.parent)["template"] == url
    assert state_of(recorded.parent)["commit"] == git(
        machine.clone, "rev-parse", "HEAD"
    )


def test_address_of_an_unpublished_commit_is_its_folder(machine):
    (machine.clone / "new").touch()
    commit(machine.clone)
    make_files("uvx cookiecutter --no-input clone", machine.folder)

    assert state_of(machine.folder / SLUG)["template"] == str(machine.clone)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("origin", "recorded"),
    [
        ("https://ada:s3cret@example.com/a.git", "https://example.com/a.git"),
        ("https://s3cret@example.com:8443/a", "https://example.com:8443/a"),
        ("https://ada:x@s3cret@example.com/a", "https://example.com/a"),
        ("HTTPS://example.com/a.git?token=s3cret", "HTTPS://example.com/a.git"),
        ("ssh://git:s3cret@example.com/a.git", "ssh://git@example.com/a.git"),
        ("ssh://git@example.com:22/a.git", "ssh://git@example.com:22/a.git"),
        ("git@example.com:org/a.git", "git@example.com:org/a.git"),
    ],
)
def test_address_contains_no_credentials(machine, origin, recorded):
    git(machine.clone, "config", "remote.origin.url", origin)
    make_files("uvx cookiecutter --no-input clone", machine.folder)
    project = machine.folder / SLUG

    assert state_of(project)["template"] == recorded
    assert "s3cret" not in (project / ".cruft.json").read_text("utf-8")


@pytest.mark.parametrize("repository", [False, True])
def test_copy_of_the_template_is_not_recorded(machine, repository):
    copy = machine.folder / "copies" / "copy"
    shutil.copytree(machine.clone, copy, ignore=shutil.ignore_patterns(".git"))
    if repository:
        git(copy.parent, "init", "--quiet")
        git(copy.parent, "commit", "--quiet", "--allow-empty", "--message=Empty")
    make_files(f"uvx cookiecutter --no-input {copy}", machine.folder)

    assert (machine.folder / SLUG / "manage.py").exists()
    assert not (machine.folder / SLUG / ".cruft.json").exists()


def test_project_is_linked_later(machine):
    copy = machine.folder / "copy"
    shutil.copytree(machine.clone, copy, ignore=shutil.ignore_patterns(".git"))
    make_files(f"uvx cookiecutter --no-input {copy}", machine.folder)
    project = machine.folder / SLUG
    make(f"uvx cruft link --no-input {machine.published.as_uri()}", project)

    assert make("uvx cruft diff --exit-code", project) == ""


# Updates


@pytest.fixture
def updating(machine):
    """Return the machine, with a project that cookiecutter made and committed."""
    make(f"uvx cookiecutter --no-input {machine.published.as_uri()}", machine.folder)
    machine.mark.unlink()
    machine.project = machine.folder / SLUG
    return machine


def commands_of_the_readme(project):
    """Return cruft's commands in the README of a project, and the script for git."""
    cruft, answer, script = (
        block.text
        for block in blocks((project / "README.md").read_text("utf-8"))
        if block.section == SECTION
    )
    return *cruft.splitlines(), answer.strip(), script


def update_by_cruft(project):
    _, update, _, _ = commands_of_the_readme(project)
    make(update, project)


def update_by_git(project):
    *_, script = commands_of_the_readme(project)
    (project.parent / "update.sh").write_text(script, "utf-8")
    make("bash -e ../update.sh", project)


both = pytest.mark.parametrize("update", [update_by_cruft, update_by_git])


def change_project(project):
    """Change a project as its users do, and commit."""
    slug = project.name
    replace(project / "README.md", f"# {NAME}\n", f"# The handbook of {NAME}\n")
    settings = project / slug / "settings.py"
    replace(settings, f'"{DESCRIPTION}"', '"All about gardens."')
    replace(
        settings, '"pages",\n    "allauth",', '"pages",\n    "notes",\n    "allauth",'
    )
    base = project / "templates" / "base.html"
    replace(base, "<p>{{ SITE.name }}</p>", '<p><a href="/notes/">Notes</a></p>')
    replace(
        project / "pyproject.toml",
        '  "python-json-logger',
        '  "humanize~=4.13",\n  "python-json-logger',
    )
    replace(
        project / slug / "urls.py",
        'include("accounts.urls")),\n',
        'include("accounts.urls")),\n    path("notes/", include("notes.urls")),\n',
    )
    for name, text in APP.items():
        path = project / "notes" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    commit(project, "Add notes")


APP = {
    "__init__.py": "",
    "urls.py": """\
from django.urls import path

from .views import notes

urlpatterns = [path("", notes, name="notes")]
""",
    "views.py": """\
from django.http import HttpRequest, HttpResponse
from humanize import intcomma


def notes(request: HttpRequest) -> HttpResponse:
    return HttpResponse(intcomma(1000))
""",
    "tests.py": """\
from django.urls import reverse


def test_page_shows_number(client):
    assert client.get(reverse("notes")).text == "1,000"
""",
}


def assert_project_has_its_changes(project):
    def has(file, text):
        return text in (project / file).read_text("utf-8")

    assert has("README.md", f"# The handbook of {NAME}\n")
    assert has(f"{project.name}/settings.py", '"All about gardens."')
    assert has(f"{project.name}/settings.py", '    "notes",\n')
    assert has("templates/base.html", '<a href="/notes/">')
    assert has("pyproject.toml", '"humanize~=4.13"')
    assert has(f"{project.name}/urls.py", '"notes.urls"')
    for name, text in APP.items():
        assert (project / "notes" / name).read_text("utf-8") == text


def change_template(machine):
    """Change a few lines, add a file and remove one; publish that."""
    tree = machine.clone / TREE
    replace(tree / TREE / "settings.py", "# First DEBUG alone", "# DEBUG comes first")
    replace(tree / "templates" / "base.html", "<!doctype html>", "<!DOCTYPE html>")
    replace(tree / "pyproject.toml", '"argon2-cffi~=25.1"', '"argon2-cffi~=25.2"')
    (tree / "pages" / "news.py").write_text(
        'NEWS = "{{ cookiecutter.project_name }}"\n'
    )
    (tree / ".editorconfig").unlink()
    commit(machine.clone, "Change lines, add a file, remove a file")
    git(machine.clone, "push", "--quiet")


def assert_project_is_updated(machine, project):
    def text(file):
        return (project / file).read_text("utf-8")

    assert "# DEBUG comes first" in text(f"{project.name}/settings.py")
    assert "<!DOCTYPE html>" in text("templates/base.html")
    assert '"argon2-cffi~=25.2"' in text("pyproject.toml")
    assert text("pages/news.py") == f'NEWS = "{NAME}"\n'
    assert not (project / ".editorconfig").exists()
    state = state_of(project)
    assert state["commit"] == git(machine.clone, "rev-parse", "HEAD")
    assert state["template"] == machine.published.as_uri()
    assert not list(project.rglob("*.rej"))
    assert git(project, "diff", "--name-only", "--diff-filter=U") == ""
    assert not machine.mark.exists()


def files_of(folder):
    """Return the content of each file of a project, except for git's and cruft's."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
        and ".git" not in path.parts
        and path.name not in {".cruft.json", ".env"}
    }


def test_new_project_is_up_to_date(updating):
    check, *_ = commands_of_the_readme(updating.project)

    make(check, updating.project)
    assert make("uvx cruft diff --exit-code", updating.project) == ""
    assert not updating.mark.exists()


@pytest.mark.slow
@both
def test_unchanged_project_becomes_the_newest(updating, update):
    change_template(updating)
    check, *_ = commands_of_the_readme(updating.project)
    assert "out of date" in make(check, updating.project, status=1)
    update(updating.project)
    newest = updating.folder / "newest"
    newest.mkdir()
    make_files(f"uvx cookiecutter --no-input {updating.clone}", newest)

    assert_project_is_updated(updating, updating.project)
    assert files_of(updating.project) == files_of(newest / SLUG)
    commit(updating.project)
    make(check, updating.project)


@pytest.mark.slow
@both
def test_changes_of_both_sides_are_merged(updating, update):
    change_project(updating.project)
    change_template(updating)
    assert '"All about gardens."' in make("uvx cruft diff", updating.project)
    kept = {
        ".env": "SECRET_KEY=mine\n",
        "db.sqlite3": "database",
        ".venv/pyvenv.cfg": "environment",
    }
    for name, text in kept.items():
        (updating.project / name).parent.mkdir(exist_ok=True)
        (updating.project / name).write_text(text)
    (updating.project / "uv.lock").write_text("lock")
    commit(updating.project)
    update(updating.project)

    assert_project_has_its_changes(updating.project)
    assert_project_is_updated(updating, updating.project)
    for name, text in {**kept, "uv.lock": "lock"}.items():
        assert (updating.project / name).read_text() == text


@pytest.mark.slow
@both
def test_conflict_is_confined_to_the_lines_that_both_changed(updating, update):
    project = updating.project
    change_project(project)
    replace(project / "pyproject.toml", '"argon2-cffi~=25.1"', '"argon2-cffi>=25"')
    (project / "deploy" / "Caddyfile").unlink()
    commit(project)
    change_template(updating)
    update(project)

    assert git(project, "diff", "--name-only", "--diff-filter=U") == "pyproject.toml"
    assert not list(project.rglob("*.rej"))
    text = (project / "pyproject.toml").read_text("utf-8")
    (conflict,) = re.findall(r"^<{7} .*\n((?:.*\n)*?)>{7} .*\n", text, re.MULTILINE)
    assert conflict.splitlines() == [
        '  "argon2-cffi>=25",',
        "=======",
        '  "argon2-cffi~=25.2",',
    ]
    # What git status suggests, after the lines are chosen.
    replaced = re.sub(r"(?m)^(<{7}|={7}|>{7}).*\n|.*~=25.2.*\n", "", text)
    (project / "pyproject.toml").write_text(replaced, "utf-8")
    git(project, "add", "pyproject.toml")
    commit(project)
    replace(project / "pyproject.toml", '"argon2-cffi>=25"', '"argon2-cffi~=25.2"')
    assert_project_has_its_changes(project)
    assert_project_is_updated(updating, project)
    assert not (project / "deploy" / "Caddyfile").exists()


@pytest.mark.slow
@both
def test_second_update_starts_from_the_first(updating, update):
    change_project(updating.project)
    change_template(updating)
    update(updating.project)
    commit(updating.project)
    replace(updating.clone / TREE / "pages" / "news.py", "NEWS", "LATEST_NEWS")
    replace(updating.clone / TREE / TREE / "settings.py", "DEBUG comes", "DEBUG is")
    commit(updating.clone)
    git(updating.clone, "push", "--quiet")
    update(updating.project)

    news = (updating.project / "pages" / "news.py").read_text("utf-8")
    assert news == f'LATEST_NEWS = "{NAME}"\n'
    settings = updating.project / SLUG / "settings.py"
    assert "# DEBUG is first" in settings.read_text("utf-8")
    assert_project_has_its_changes(updating.project)


def test_git_alone_changes_nothing_without_an_update(updating):
    update_by_git(updating.project)

    assert git(updating.project, "status", "--porcelain") == ""


def test_answer_is_changed_later(updating):
    *_, answer, _ = commands_of_the_readme(updating.project)
    make(answer, updating.project)
    settings = (updating.project / SLUG / "settings.py").read_text("utf-8")

    assert '"A site about gardens."' in settings
    context = state_of(updating.project)["context"]["cookiecutter"]
    assert context["description"] == "A site about gardens."


@pytest.mark.slow
def test_every_answer_is_changed_and_taken_back(updating, bake, monkeypatch, tmp_path):
    project = updating.project
    change_project(project)
    before = git(project, "rev-parse", "HEAD")
    other = {question: answers[-1] for question, answers in CHOICES.items()}

    for question, answer in other.items():
        change_answer(project, question, answer)
    reference = tmp_path / "reference" / SLUG
    shutil.copytree(bake(**other), reference)
    git(reference, "init", "--quiet")
    change_project(reference)
    assert files_of(project) == files_of(reference)
    monkeypatch.undo()
    assert_check_passes(reference)

    for question in other:
        change_answer(project, question, CHOICES[question][0])
    assert git(project, "diff", before) == ""


def change_answer(project, question, answer):
    """Change an answer as the README shows, and commit."""
    variables = json.dumps({question: answer})
    command = [sys.executable, "-m", "cruft", "update", "--skip-apply-ask"]
    make([*command, "--variables-to-update", variables], project)
    assert not list(project.rglob("*.rej"))
    assert state_of(project)["context"]["cookiecutter"][question] == answer
    commit(project, f"Choose {answer}")


def assert_check_passes(project):
    """Set a project up with SQLite, whatever its database is, and run its check.py."""
    env = "DEBUG=true\nSECRET_KEY=" + "k3y-" * 20
    (project / ".env").write_text(env, "utf-8")
    make([sys.executable, "scripts/bootstrap.py"], project)
    status, output = run(project, "scripts/check.py")
    assert status == 0, output


# Old projects


# The first commit whose hook leaves cruft's scratch folders alone, and the first one with
# the folders that projects have today.
OLDEST, WITH_FOLDERS = "281f077", "f3c238a"


@pytest.fixture
def old_project(tmp_path, monkeypatch):
    """Return a function that makes a project of an old commit with `cruft create`."""
    monkeypatch.setenv("COOKIECUTTER_CONFIG", os.devnull)

    def old_project(old):
        found = subprocess.run(
            ["git", "cat-file", "-e", f"{old}^{{commit}}"], cwd=TEMPLATE, check=False
        )
        if found.returncode:
            pytest.skip(f"This clone of the template is shallow: it has no {old}.")
        published = publish(tmp_path, history=True)
        create = [sys.executable, "-m", "cruft", "create", "--no-input"]
        make_files([*create, "--checkout", old, published.as_uri()], tmp_path)
        project = tmp_path / SLUG
        git(project, "init", "--quiet")
        commit(project, "First commit")
        return project

    return old_project


def update_to_the_newest(project):
    update = [sys.executable, "-m", "cruft", "update", "--skip-apply-ask"]
    make(update, project)
    assert git(project, "diff", "--name-only", "--diff-filter=U") == ""
    assert not list(project.rglob("*.rej"))
    commit(project, "Update")


@pytest.mark.slow
@pytest.mark.parametrize("old", [OLDEST, WITH_FOLDERS])
def test_unchanged_old_project_becomes_the_newest(old_project, bake, old):
    project = old_project(old)
    update_to_the_newest(project)

    assert files_of(project) == files_of(bake())


@pytest.mark.slow
def test_changed_old_project_is_updated_and_passes_its_check(old_project):
    project = old_project(WITH_FOLDERS)
    change_project(project)
    make([sys.executable, "scripts/bootstrap.py"], project)
    env = (project / ".env").read_text("utf-8")
    commit(project, "Add uv.lock")
    update_to_the_newest(project)
    make([sys.executable, "scripts/bootstrap.py"], project)

    assert_project_has_its_changes(project)
    assert (project / ".env").read_text("utf-8") == env
    assert "humanize" in (project / "uv.lock").read_text("utf-8")
    assert run(project, "manage.py", "migrate", "--check") == (0, "")
    status, output = run(project, "scripts/check.py")
    assert status == 0, output

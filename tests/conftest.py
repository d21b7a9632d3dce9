"""Fixtures: projects baked once per set of answers and run, and what runs them."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock
from helpers import Server, python_of
from services import PostgreSQL, Redis
from sites import PRODUCTION, in_development, in_production
from visitor import start_chromium

# Where the suite runs in the background, a shell may have it ignore Ctrl-C, and what
# the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

TEMPLATE = Path(__file__).resolve().parent.parent

# Set by a developer's own shell or project, they would leak into the baked one.
LEAKS = (
    "DEBUG",
    "SECRET_KEY",
    "ALLOWED_HOSTS",
    "CSRF_TRUSTED_ORIGINS",
    "DATABASE_URL",
    "CACHE_URL",
    "EMAIL_URL",
    "TASKS_URL",
    "STORAGE_URL",
    "LIVE_RELOAD",
    "HOST",
    "PORT",
    "WEB_CONCURRENCY",
    "FORWARDED_ALLOW_IPS",
    "DJANGO_SETTINGS_MODULE",
    "DJANGO_STARTER_SKIP_BOOTSTRAP",
    "VIRTUAL_ENV",
)


def pytest_xdist_auto_num_workers():
    """Return one more than there are processors: servers and browsers make one wait."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session", autouse=True)
def neutral_environment(tmp_path_factory):
    """Make every test start from the same environment, with a git identity."""
    gitconfig = tmp_path_factory.mktemp("git") / "config"
    gitconfig.write_text("[user]\n\tname = Ada Lovelace\n\temail = ada@example.com\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(gitconfig))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        # Output read through a pipe should come as it is printed.
        patch.setenv("PYTHONUNBUFFERED", "1")
        for name in LEAKS:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    """Return a folder that all workers of this run have in common."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def bake(cookies_session, shared_folder):
    """Return a function that bakes a project, once per answers and run.

    `bake(bootstrap=False, **answers)` returns the project's path. With
    `bootstrap`, the hook also makes its environment and database; without, it is
    the files alone. What it returns is shared: `workspace` gives a copy to change.
    """

    def bake(bootstrap=False, **answers):
        key = json.dumps([bootstrap, answers], sort_keys=True)
        record = shared_folder / "bakes.json"
        with FileLock(shared_folder / "bakes.lock"):
            bakes = json.loads(record.read_text("utf-8")) if record.exists() else {}
            if key not in bakes:
                with pytest.MonkeyPatch.context() as patch:
                    if not bootstrap:
                        patch.setenv("DJANGO_STARTER_SKIP_BOOTSTRAP", "1")
                    result = cookies_session.bake(extra_context=answers)
                assert result.exception is None, result.exception
                bakes[key] = str(result.project_path)
                record.write_text(json.dumps(bakes), "utf-8")
        return Path(bakes[key])

    return bake


@pytest.fixture(scope="session")
def project(bake):
    """Return the default project, ready to run. It is shared: change nothing."""
    path = bake(bootstrap=True)
    assert python_of(path).exists(), "The hook left no .venv; run the hook by hand."
    return path


def copy_project(project, folder):
    """Copy a project into `folder`; the copy shares its .venv."""
    copy = folder / project.name
    # What lies beside the database comes and goes while a server uses it.
    ignored = shutil.ignore_patterns(".venv", "db.sqlite3-*")
    shutil.copytree(project, copy, ignore=ignored)
    (copy / ".venv").symlink_to(project / ".venv", target_is_directory=True)
    return copy


@pytest.fixture
def workspace(project, tmp_path):
    """Return a copy of the default project that a test may change as it likes.

    Its .venv is the shared one: a test that installs packages needs its own.
    """
    return copy_project(project, tmp_path)


@pytest.fixture(scope="session")
def released(project, shared_folder):
    """Return a copy of the default project that is ready for production.

    Its static files are collected. It is shared: change nothing.
    """
    copy = shared_folder / "released" / project.name
    with FileLock(shared_folder / "released.lock"):
        if not copy.exists():
            copy_project(project, copy.parent)
            subprocess.run(
                [python_of(copy), "manage.py", "collectstatic", "--no-input"],
                cwd=copy,
                env={**os.environ, **PRODUCTION, "EMAIL_URL": "smtp://localhost"},
                stdout=subprocess.DEVNULL,
                check=True,
            )
    return copy


@pytest.fixture
def serve():
    """Return a function that starts a server, to be stopped when the test ends.

    `serve(command, cwd, env=None, url=None)` returns the running Server.
    """
    running = []

    def serve(command, cwd, env=None, url=None):
        server = Server(command, cwd, {**os.environ, **(env or {})})
        running.append(server)
        if url:
            server.wait_until_it_answers(url)
        return server

    yield serve
    for server in running:
        server.stop()


@pytest.fixture(scope="session")
def postgresql():
    """Return a server of PostgreSQL's, with `new_database()`."""
    server = PostgreSQL()
    yield server
    server.stop()
    shutil.rmtree(server.folder)


@pytest.fixture(scope="session")
def redis():
    """Return a server of Redis's, with `new_url()`."""
    server = Redis()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def development_site(project, tmp_path_factory):
    """Return a copy of the project, served by dev.py; its visitors are many."""
    with in_development(copy_project(project, tmp_path_factory.mktemp("site"))) as site:
        yield site


@pytest.fixture(scope="session")
def production_site(project, tmp_path_factory):
    """Return a copy of the project, served as in production; its visitors are many."""
    with in_production(copy_project(project, tmp_path_factory.mktemp("site"))) as site:
        yield site


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """Return a headless Chromium; each Visitor finds it without a past."""
    chrome = start_chromium(tmp_path_factory.mktemp("chromium"))
    yield chrome
    chrome.quit()

"""The fixtures of all tests: projects, servers, services and a browser."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock
from support.browser import start_chromium
from support.project import copy_project, python_of
from support.server import Server
from support.services import PostgreSQL, Redis
from support.site import PRODUCTION, in_development, in_production

# A shell that runs the suite in the background may ignore Ctrl-C, and the programs that
# the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Variables of the developer's shell that would change how a project behaves.
UNSET = (
    "DEBUG",
    "SECRET_KEY",
    "ALLOWED_HOSTS",
    "CSRF_TRUSTED_ORIGINS",
    "DATABASE_URL",
    "DATABASE_POOL_MIN",
    "DATABASE_POOL_MAX",
    "CACHE_URL",
    "EMAIL_URL",
    "STORAGE_URL",
    "SENTRY_DSN",
    "SENTRY_ENVIRONMENT",
    "SENTRY_RELEASE",
    "LIVE_RELOAD",
    "VITE_PORT",
    "HOST",
    "PORT",
    "WEB_CONCURRENCY",
    "FORWARDED_ALLOW_IPS",
    "DJANGO_SETTINGS_MODULE",
    "DJANGO_STARTER_SKIP_BOOTSTRAP",
    "VIRTUAL_ENV",
    # Each of thousands of processes would compile Django.
    "PYTHONDONTWRITEBYTECODE",
)


def pytest_xdist_auto_num_workers():
    """Return the number of CPUs and one more: tests also wait for servers."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session", autouse=True)
def neutral_environment(tmp_path_factory, shared_folder):
    """Run all tests in the same environment, with a git identity."""
    gitconfig = tmp_path_factory.mktemp("git") / "config"
    gitconfig.write_text("[user]\n\tname = Ada Lovelace\n\temail = ada@example.com\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(gitconfig))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        # The types of packages are checked once.
        patch.setenv("MYPY_CACHE_DIR", str(shared_folder / "mypy"))
        # Tests read the output of programs through a pipe, as soon as it is printed.
        patch.setenv("PYTHONUNBUFFERED", "1")
        for name in UNSET:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    """Return a folder that the processes of pytest-xdist share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def bake(cookies_session, shared_folder):
    """
    Return a function that makes a project, once for the same answers.

    `bake(bootstrap=False, **answers)` returns the project's path. With `bootstrap`, the
    hook makes its environment and database as well. The project is shared: a test that
    changes files uses `workspace`.
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
    """Return the default project, ready to run. It is shared: do not change it."""
    path = bake(bootstrap=True)
    assert python_of(path).exists(), "The hook made no .venv: run the hook by hand."
    return path


@pytest.fixture
def workspace(project, tmp_path):
    """
    Return a copy of the default project that the test may change.

    The copy shares its .venv: a test that installs packages needs its own.
    """
    return copy_project(project, tmp_path)


@pytest.fixture(scope="session")
def released(project, shared_folder):
    """
    Return a copy of the default project whose static files are collected.

    It is shared: do not change it.
    """
    copy = shared_folder / "released" / project.name
    with FileLock(shared_folder / "released.lock"):
        if not copy.exists():
            copy_project(project, copy.parent)
            subprocess.run(
                [python_of(copy), "manage.py", "collectstatic", "--no-input"],
                cwd=copy,
                env={**os.environ, **PRODUCTION},
                stdout=subprocess.DEVNULL,
                check=True,
            )
    return copy


@pytest.fixture
def use_mypy_cache(shared_folder, monkeypatch):
    """
    Return a function that selects the cache of mypy for projects with an API.

    APIs have different plugins, and mypy uses no cache that others have written.
    """

    def use_mypy_cache(api):
        monkeypatch.setenv("MYPY_CACHE_DIR", str(shared_folder / f"mypy-{api}"))

    return use_mypy_cache


@pytest.fixture
def serve():
    """
    Return a function that starts a server, which is stopped when the test ends.

    `serve(command, cwd, env=None, url=None)` returns the running Server, after `url`, if
    given, has responded.
    """
    running = []

    def serve(command, cwd, env=None, url=None):
        server = Server(command, cwd, {**os.environ, **(env or {})})
        running.append(server)
        if url:
            server.wait_until_up(url)
        return server

    yield serve
    for server in running:
        server.stop()


@pytest.fixture(scope="session")
def postgresql():
    """Return a running PostgreSQL server."""
    server = PostgreSQL()
    yield server
    server.stop()
    shutil.rmtree(server.folder)


@pytest.fixture(scope="session")
def redis():
    """Return a running Redis server."""
    server = Redis()
    yield server
    server.stop()
    shutil.rmtree(server.folder)


@pytest.fixture(scope="session")
def development_site(project, tmp_path_factory):
    """Return the Site of a copy of the project, served by dev.py. Tests share it."""
    with in_development(copy_project(project, tmp_path_factory.mktemp("site"))) as site:
        yield site


@pytest.fixture(scope="session")
def production_site(released, tmp_path_factory):
    """Return the Site of a copy of the project in production. Tests share it."""
    with in_production(copy_project(released, tmp_path_factory.mktemp("site"))) as site:
        yield site


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """Return a headless Chromium. Each Visitor starts without cookies and cache."""
    chrome = start_chromium(tmp_path_factory.mktemp("chromium"))
    yield chrome
    chrome.quit()

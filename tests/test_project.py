"""The generated project: its own tools pass, and each server serves it."""

import os
import subprocess

import pytest
from support.project import run, uvicorn
from support.server import fetch, free_port, wait_until
from support.site import PRODUCTION, assert_home_and_admin_are_styled

DEPLOYMENT_CHECK = "manage.py check --deploy --fail-level WARNING"


@pytest.mark.parametrize(
    "command",
    [
        "-m ruff check --no-cache",
        "-m ruff format --check --no-cache",
        "manage.py check",
        "manage.py makemigrations --check",
        "manage.py migrate --check",
        "manage.py collectstatic --dry-run --no-input",
    ],
)
def test_own_tools_pass(project, command):
    status, output = run(project, *command.split())

    assert status == 0, output


@pytest.mark.slow
def test_own_tests_cover_every_line(project, tmp_path):
    env = {"COVERAGE_FILE": str(tmp_path / "coverage")}
    for command in (
        "-m coverage run -m pytest -p no:cacheprovider",
        # test_backup.py tests it.
        "-m coverage report --fail-under 100 --omit ops/postgresql.py",
    ):
        status, output = run(project, *command.split(), env=env)

        assert status == 0, output


def test_deployment_check_passes_in_production(released):
    status, output = run(released, *DEPLOYMENT_CHECK.split(), env=PRODUCTION)

    assert status == 0, output


def test_deployment_check_rejects_a_short_secret_key(released):
    env = {**PRODUCTION, "SECRET_KEY": "short"}

    status, output = run(released, *DEPLOYMENT_CHECK.split(), env=env)

    assert status == 1
    assert "security.W009" in output


SERVERS = {
    "runserver": "python manage.py runserver {port}",
    "uvicorn": "uvicorn {slug}.asgi:application --reload --port {port}",
}


@pytest.mark.skipif(os.name == "nt", reason="runs commands in bash")
@pytest.mark.parametrize("name", SERVERS)
def test_pages_are_styled_once_the_environment_is_active(project, serve, name):
    port = free_port()
    command = SERVERS[name].format(slug=project.name, port=port)

    server = serve(
        ["bash", "-c", f"source .venv/bin/activate && exec {command}"],
        cwd=project,
        url=f"http://127.0.0.1:{port}/livez",
    )

    assert_home_and_admin_are_styled(f"http://127.0.0.1:{port}")
    assert "lifespan" not in server.output.lower()
    assert "StreamingHttpResponse" not in server.output
    assert "Traceback" not in server.output


@pytest.mark.skipif(os.name == "nt", reason="runs commands in bash")
def test_pip_of_an_active_environment_is_its_own(project):
    shown = subprocess.check_output(
        ["bash", "-c", "source .venv/bin/activate && pip --version"],
        cwd=project,
        text=True,
    )

    assert str(project / ".venv") in shown


def test_uvicorn_shows_a_saved_template_without_a_restart(workspace, serve):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    serve(uvicorn(workspace, port), cwd=workspace, url=f"{address}/livez")
    assert "Good evening" not in fetch(address)[2]

    template = workspace / "templates" / "pages" / "home.html"
    template.write_text(template.read_text("utf-8").replace("Welcome", "Good evening"))

    assert "Good evening" in fetch(address)[2]


@pytest.mark.slow
def test_uvicorn_restarts_when_a_python_file_is_saved(workspace, serve):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    server = serve(
        [*uvicorn(workspace, port), "--reload"],
        cwd=workspace,
        url=f"{address}/livez",
    )

    health = workspace / "ops" / "health.py"
    health.write_text(health.read_text("utf-8").replace('"ok"', '"still ok"'), "utf-8")

    def is_restarted():
        if fetch(f"{address}/livez")[2] == "still ok":
            return True
        health.touch()  # uvicorn may not have watched the file when it was saved.

    wait_until(is_restarted, lambda: server.output)

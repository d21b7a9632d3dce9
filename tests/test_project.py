"""The generated project, judged by its own tools and by what a newcomer types."""

import os
import re
import subprocess

import pytest
from helpers import fetch, free_port, python_of, wait_until

PRODUCTION = {
    "DEBUG": "false",
    "SECRET_KEY": "fL2xq9Zt-" * 8,
    "ALLOWED_HOSTS": "example.com",
    "CSRF_TRUSTED_ORIGINS": "https://example.com",
    "EMAIL_URL": "submission://ada:secret@smtp.example.com",
}


def run(project, *command, env=None):
    """Run Python in a project's environment; return status and all it printed."""
    result = subprocess.run(
        [python_of(project), *command],
        cwd=project,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    return result.returncode, result.stdout


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
def test_project_passes_its_own_tools(project, command):
    status, output = run(project, *command.split())

    assert status == 0, output


def test_its_own_tests_come_by_every_line_of_its_apps(project, tmp_path):
    env = {"COVERAGE_FILE": str(tmp_path / "coverage")}
    for command in (
        "-m coverage run -m pytest -p no:cacheprovider",
        "-m coverage report --fail-under 100",
    ):
        status, output = run(project, *command.split(), env=env)

        assert status == 0, output


def test_deployment_checks_are_clean_in_production(project):
    command = "manage.py check --deploy --fail-level WARNING"

    status, output = run(project, *command.split(), env=PRODUCTION)

    assert status == 0, output


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SECRET_KEY", ""),
        ("SECRET_KEY", "short"),
        ("DEBUG", "perhaps"),
        ("DATABASE_URL", "mysql//nowhere"),
        ("DATABASE_URL", "postgres://db.example.com:port/db"),
        ("DATABASE_POOL_MIN", "-1"),
        ("DATABASE_POOL_MAX", "0"),
        ("DATABASE_POOL_MAX", "many"),
        ("EMAIL_URL", "smtp.example.com"),
        ("EMAIL_URL", "https://smtp.example.com"),
        ("TASKS_URL", "redis.example.com"),
        ("TASKS_URL", "redis://"),
        ("CACHE_URL", ""),
        ("CACHE_URL", "redis://redis.example.com:port"),
        ("STORAGE_URL", "https://[s3.example.com"),
    ],
)
def test_a_setting_that_cannot_work_is_one_sentence(project, variable, value):
    status, output = run(project, "manage.py", "check", env={variable: value})

    assert status == 1
    assert f'"{variable}"' in output
    assert "bootstrap.py" in output
    assert len(output.splitlines()) == 1


def test_only_passkeys_load_the_libraries_of_passkeys(project):
    code = """
import sys
from my_site.asgi import application
from django.test import Client

print(Client(headers={"Host": "localhost"}).get("/").status_code)
print({"fido2", "cryptography"} & sys.modules.keys())
from allauth.mfa.webauthn.internal import auth
print(auth.begin_authentication.__name__, "fido2" in sys.modules)
"""

    status, output = run(project, "-c", code)

    assert status == 0, output
    assert output.splitlines()[-3:] == [
        "200",
        "set()",
        "begin_authentication True",
    ]


def test_production_does_not_start_without_a_mail_server(project):
    env = {name: value for name, value in PRODUCTION.items() if name != "EMAIL_URL"}

    status, output = run(project, "manage.py", "check", env=env)

    assert status == 1
    assert output.startswith('Set "EMAIL_URL" (not set; as in ')


def test_production_names_all_that_it_lacks_at_once_with_examples(project):
    env = {"DEBUG": "false", "SECRET_KEY": ""}

    status, output = run(project, "manage.py", "check", env=env)

    assert status == 1
    assert len(output.splitlines()) == 1
    for example in (
        "SECRET_KEY=",
        "ALLOWED_HOSTS=example.com",
        "CSRF_TRUSTED_ORIGINS=https://example.com",
        "EMAIL_URL=submission://user:password@smtp.example.com",
    ):
        assert f"as in {example}" in output


def test_without_any_configuration_it_does_not_start(workspace):
    (workspace / ".env").unlink()

    status, output = run(workspace, "manage.py", "check")

    assert status == 1
    assert output.startswith('Set "SECRET_KEY" (not set; as in ')


@pytest.mark.parametrize("command", ["manage.py check", "scripts/serve.py"])
def test_a_file_that_is_no_text_is_one_sentence(workspace, command):
    (workspace / ".env").write_text("DEBUG=true", "utf-16")

    status, output = run(workspace, *command.split())

    assert status == 1
    assert re.fullmatch(r".*\.env cannot be read .* `python .*`\.\n", output)


def assert_home_and_admin_are_styled(address):
    for path in ("/", "/admin/"):
        status, _, page = fetch(address + path)
        assert status == 200
        sheets = re.findall(r'rel="stylesheet" href="([^"]+)"', page)
        assert sheets, page
        # The admin's own pages are behind the log-in.
        for sheet in (*sheets, "/static/admin/css/base.css"):
            status, headers, text = fetch(address + sheet)
            assert status == 200
            assert headers.get_content_type() == "text/css"
            assert "{" in text


SERVERS = {
    "runserver": "python manage.py runserver {port}",
    "uvicorn": "uvicorn {slug}.asgi:application --reload --port {port}",
}


@pytest.mark.skipif(os.name == "nt", reason="types what POSIX shells take")
@pytest.mark.parametrize("name", SERVERS)
def test_admin_has_its_css_as_soon_as_the_environment_is_active(project, serve, name):
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


def uvicorn(project, port):
    application = f"{project.name}.asgi:application"
    return [python_of(project), "-m", "uvicorn", application, "--port", str(port)]


def test_a_saved_template_shows_on_the_next_request_under_uvicorn(workspace, serve):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    serve(
        uvicorn(workspace, port),
        cwd=workspace,
        url=f"{address}/livez",
    )
    assert "Good evening" not in fetch(address)[2]

    template = workspace / "templates" / "pages" / "home.html"
    template.write_text(template.read_text("utf-8").replace("Welcome", "Good evening"))

    assert "Good evening" in fetch(address)[2]


def test_a_saved_python_file_is_served_anew_by_uvicorn(workspace, serve):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    server = serve(
        [*uvicorn(workspace, port), "--reload"],
        cwd=workspace,
        url=f"{address}/livez",
    )

    health = workspace / "pages" / "health.py"
    health.write_text(health.read_text("utf-8").replace('"ok"', '"still ok"'), "utf-8")

    def is_served_anew():
        if fetch(f"{address}/livez")[2] == "still ok":
            return True
        health.touch()  # When it was saved, uvicorn may not have been watching yet.

    wait_until(is_served_anew, lambda: server.output)

"""The files for containers: Dockerfile, .dockerignore, compose.yaml, Caddyfile."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.template import CHOICES, TREE, render
from support.tools import check, find_program

COMPOSE = (TREE / "compose.yaml").read_text("utf-8")
# The services with each database.
SERVICES = {
    database: yaml.safe_load(render(COMPOSE, database=database))["services"]
    for database in CHOICES["database"]
}
DOCKERFILE = (TREE / "Dockerfile").read_text("utf-8")

# The keys of a service that `docker stack deploy` uses or ignores; others are errors.
# From config_schema_v3.13.json of docker/cli, which has no list to import.
SWARM_KEYS = {
    *("build", "cap_drop", "command", "configs", "deploy", "env_file", "environment"),
    *("healthcheck", "image", "init", "ports", "read_only", "restart", "secrets"),
    *("stop_grace_period", "volumes"),
}


def service_of(database, name):
    return pytest.param(SERVICES[database][name], name, id=f"{database}-{name}")


def test_hadolint_finds_no_errors_in_the_dockerfile():
    check(find_program("hadolint", Path(sys.executable).parent), TREE / "Dockerfile")


@pytest.mark.parametrize(
    ("name", "is_ignored"),
    [
        *((name, True) for name in (".env", ".env.production", ".git", ".venv")),
        *(
            (name, True)
            for name in (
                "db.sqlite3",
                "db.sqlite3-wal",
                "site.backup",
                "site.dump",
                "media",
            )
        ),
        *((name, False) for name in ("manage.py", "uv.lock", "templates", "scripts")),
    ],
)
def test_dockerignore_excludes_secrets_and_data(tmp_path, name, is_ignored):
    # For names in the root folder, Docker and git read the patterns in the same way.
    git = ["git", "-c", f"core.excludesFile={TREE / '.dockerignore'}"]
    subprocess.run([*git, "init", "--quiet", tmp_path], check=True)

    done = subprocess.run([*git, "check-ignore", "--quiet", name], cwd=tmp_path)

    assert (done.returncode == 0) == is_ignored


@pytest.mark.parametrize("database", CHOICES["database"])
def test_compose_file_follows_the_specification(bake, database):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]

    check(*command, "vendor.compose-spec", bake(database=database) / "compose.yaml")


@pytest.mark.parametrize("name", SERVICES["postgresql"])
def test_compose_file_is_valid_for_a_swarm(name):
    assert set(SERVICES["postgresql"][name]) <= SWARM_KEYS


@pytest.mark.parametrize(
    ("service", "name"),
    [
        service_of(database, name)
        for database in SERVICES
        for name in SERVICES[database]
    ],
)
def test_service_has_a_health_check_and_is_restarted(service, name):
    policy = service.get("deploy", {}).get("restart_policy")
    ends = policy == {"condition": "on-failure"}

    assert ends == (name == "migrate")
    if not ends:
        assert service["restart"] == "unless-stopped"
        # The health check of the image is that of web.
        assert "healthcheck" in service or (
            name == "web" and "HEALTHCHECK" in DOCKERFILE
        )


def test_caddyfile_is_valid(monkeypatch):
    caddy = find_program("caddy")
    monkeypatch.setenv("DOMAIN", "example.com")

    check(caddy, "validate", "--config", TREE / "deploy" / "Caddyfile")

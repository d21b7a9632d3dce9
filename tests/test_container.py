"""The files for deployment: Dockerfile, Compose and Swarm, Kubernetes, systemd, Caddy."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.template import CHOICES, TREE, render, sources
from support.tools import find_program

COMPOSE = (TREE / "compose.yaml").read_text("utf-8")
# The services with each database.
SERVICES = {
    database: yaml.safe_load(render(COMPOSE, database=database))["services"]
    for database in CHOICES["database"]
}
KUBERNETES = TREE / "deploy" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text("utf-8"))
MANIFESTS = [
    manifest
    for name in KUSTOMIZATION["resources"]
    for manifest in yaml.safe_load_all((KUBERNETES / name).read_text("utf-8"))
]
DOCKERFILE = (TREE / "Dockerfile").read_text("utf-8")

# The keys of a service that `docker stack deploy` uses or ignores; others are errors.
# From config_schema_v3.13.json of docker/cli, which has no list to import.
SWARM_KEYS = {
    *("build", "cap_drop", "command", "configs", "deploy", "env_file", "environment"),
    *("healthcheck", "image", "init", "ports", "read_only", "restart", "secrets"),
    *("stop_grace_period", "volumes"),
}


def check(*command):
    """Run a program that checks files; return its output. Fail if it finds errors."""
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def service_of(database, name):
    return pytest.param(SERVICES[database][name], name, id=f"{database}-{name}")


@pytest.mark.parametrize("path", sources(".yaml", ".yml"))
def test_yaml_loads_before_it_is_rendered(path):
    assert list(yaml.safe_load_all(path.read_text("utf-8")))


@pytest.mark.parametrize("slug", ["my_site", "a"])
def test_kubernetes_namespace_is_valid_for_any_slug(bake, slug):
    project = bake(project_slug=slug, deploy="kubernetes")
    file = project / "deploy" / "kubernetes" / "kustomization.yaml"

    namespace = yaml.safe_load(file.read_text("utf-8"))["namespace"]

    assert re.fullmatch("[a-z]([a-z0-9-]*[a-z0-9])?", namespace)


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


@pytest.mark.parametrize("ci", ["github", "gitlab"])
@pytest.mark.parametrize("database", CHOICES["database"])
def test_workflow_follows_the_schema(bake, ci, database):
    schema, name = {
        "github": ("vendor.github-workflows", ".github/workflows/ci.yml"),
        "gitlab": ("vendor.gitlab-ci", ".gitlab-ci.yml"),
    }[ci]
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    if ci == "gitlab":
        command += ["--data-transform", "gitlab-ci"]

    check(*command, bake(ci=ci, database=database) / name)


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


@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_manifests_are_valid_for_kubernetes(version):
    files = [KUBERNETES / name for name in KUSTOMIZATION["resources"]]
    command = [sys.executable, "-m", "kubernetes_validate", "--strict", "-k", version]

    assert check(*command, *files).count(" passed ") == len(MANIFESTS)


def test_kustomization_lists_every_manifest():
    files = {path.name for path in KUBERNETES.iterdir()}

    assert files == {*KUSTOMIZATION["resources"], "kustomization.yaml"}
    assert "Secret" not in {manifest["kind"] for manifest in MANIFESTS}


@pytest.mark.parametrize(
    "manifest",
    [m for m in MANIFESTS if m["kind"] in {"Deployment", "Job"}],
    ids=lambda manifest: manifest["metadata"]["name"],
)
def test_pod_has_limits_and_no_key_that_a_patch_replaces(manifest):
    (container,) = manifest["spec"]["template"]["spec"]["containers"]

    assert container["resources"]["limits"].keys() == {"cpu", "memory"}
    assert [container["image"]] == [image["name"] for image in KUSTOMIZATION["images"]]
    # A patch replaces the whole key; what a manifest has there would be lost.
    for patch in KUSTOMIZATION["patches"]:
        for operation in yaml.safe_load(patch["patch"]):
            *path, last = operation["path"].strip("/").split("/")
            place = manifest
            for part in path:
                place = place[int(part) if part.isdigit() else part]
            assert last not in place


def test_compose_and_kubernetes_run_the_same_commands():
    for manifest in MANIFESTS:
        if manifest["kind"] in {"Deployment", "Job"}:
            (container,) = manifest["spec"]["template"]["spec"]["containers"]
            service = SERVICES["postgresql"][manifest["metadata"]["name"]]
            assert container.get("command") == service.get("command")


def test_caddyfile_is_valid(monkeypatch):
    caddy = find_program("caddy")
    monkeypatch.setenv("DOMAIN", "example.com")

    check(caddy, "validate", "--config", TREE / "deploy" / "Caddyfile")


@pytest.mark.parametrize("path", sources(".service", ".timer"))
def test_systemd_units_are_valid(path, project, tmp_path):
    analyze = find_program("systemd-analyze")
    for unit in path.parent.glob("*@.*"):
        # systemd-analyze checks that the programs exist.
        text = unit.read_text("utf-8").replace("/srv/%i", str(project))
        (tmp_path / unit.name.replace("@", "@my_site")).write_text(text, "utf-8")

    # Unknown keys are only warnings, with exit status 0.
    assert not check(analyze, "verify", tmp_path / path.name.replace("@", "@my_site"))

"""What the site is deployed with: the image, Compose and Swarm, Kubernetes, systemd."""

import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from test_tree import TREE, sources

COMPOSE = yaml.safe_load((TREE / "compose.yaml").read_text("utf-8"))
SERVICES = COMPOSE["services"]
KUSTOMIZATION = yaml.safe_load(
    (TREE / "kubernetes" / "kustomization.yaml").read_text("utf-8")
)
MANIFESTS = [
    manifest
    for name in KUSTOMIZATION["resources"]
    for manifest in yaml.safe_load_all((TREE / "kubernetes" / name).read_text("utf-8"))
]
DOCKERFILE = (TREE / "Dockerfile").read_text("utf-8")

# What `docker stack deploy` reads of a service, or says that it ignores; anything else
# stops it. From config_schema_v3.13.json of docker/cli, which has no list to import.
SWARM_READS = {
    *("build", "cap_drop", "command", "configs", "deploy", "env_file", "environment"),
    *("healthcheck", "image", "init", "ports", "read_only", "restart", "secrets"),
    *("stop_grace_period", "tmpfs", "volumes"),
}


def check(*command):
    """Run a program that judges files, and fail with what it says against them."""
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def system_tool(name):
    """Return the path of a program that .ci/run installs; skip where it is not."""
    path = shutil.which(name)
    if not path and "REQUIRE_DEPLOYMENT_TOOLS" not in os.environ:
        pytest.skip(f"{name} is not installed")
    return path


@pytest.mark.parametrize("path", sources(".yaml", ".yml"))
def test_yaml_loads_before_it_is_rendered(path):
    assert list(yaml.safe_load_all(path.read_text("utf-8")))


@pytest.mark.parametrize("slug", ["my_site", "a"])
def test_a_kubernetes_namespace_is_made_of_any_slug(bake, slug):
    file = bake(project_slug=slug) / "kubernetes" / "kustomization.yaml"

    namespace = yaml.safe_load(file.read_text("utf-8"))["namespace"]

    assert re.fullmatch("[a-z]([a-z0-9-]*[a-z0-9])?", namespace)


def test_hadolint_finds_nothing_in_the_dockerfile():
    check(shutil.which("hadolint"), TREE / "Dockerfile")


@pytest.mark.parametrize(
    ("name", "is_left_out"),
    [
        *((name, True) for name in (".env", ".env.production", ".git", ".venv")),
        *(
            (name, True)
            for name in ("db.sqlite3", "db.sqlite3-wal", "site.dump", "media")
        ),
        *((name, False) for name in ("manage.py", "uv.lock", "templates", "scripts")),
    ],
)
def test_what_is_secret_or_of_one_machine_stays_out_of_the_image(
    tmp_path, name, is_left_out
):
    # For names in the root, the patterns mean to Docker what they mean to git.
    git = ["git", "-c", f"core.excludesFile={TREE / '.dockerignore'}"]
    subprocess.run([*git, "init", "--quiet", tmp_path], check=True)

    done = subprocess.run([*git, "check-ignore", "--quiet", name], cwd=tmp_path)

    assert (done.returncode == 0) == is_left_out


def test_the_compose_file_follows_the_specification(bake):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]

    check(
        *command, "vendor.compose-spec", TREE / "compose.yaml", bake() / "compose.yaml"
    )


@pytest.mark.parametrize("name", SERVICES)
def test_a_swarm_takes_the_same_compose_file(name):
    assert set(SERVICES[name]) <= SWARM_READS


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_that_stays_is_watched_and_comes_back(name):
    service = SERVICES[name]
    policy = service.get("deploy", {}).get("restart_policy")
    ends = policy == {"condition": "on-failure"}

    assert ends == (name == "migrate")
    if not ends:
        assert service["restart"] == "unless-stopped"
        # The image has a check of its own, which is one for the web.
        assert "healthcheck" in service or (
            name == "web" and "HEALTHCHECK" in DOCKERFILE
        )


@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_kubernetes_takes_every_manifest(version):
    files = [TREE / "kubernetes" / name for name in KUSTOMIZATION["resources"]]
    command = [sys.executable, "-m", "kubernetes_validate", "--strict", "-k", version]

    assert check(*command, *files).count(" passed ") == len(MANIFESTS)


def test_every_manifest_is_in_the_kustomization():
    files = {path.name for path in (TREE / "kubernetes").iterdir()}

    assert files == {*KUSTOMIZATION["resources"], "kustomization.yaml"}
    assert "Secret" not in {manifest["kind"] for manifest in MANIFESTS}


@pytest.mark.parametrize(
    "manifest",
    [m for m in MANIFESTS if m["kind"] in {"Deployment", "Job"}],
    ids=lambda manifest: manifest["metadata"]["name"],
)
def test_every_pod_is_limited_and_becomes_what_the_kustomization_says(manifest):
    (container,) = manifest["spec"]["template"]["spec"]["containers"]

    assert container["resources"]["limits"].keys() == {"cpu", "memory"}
    assert [container["image"]] == [image["name"] for image in KUSTOMIZATION["images"]]
    # The patches add these whole: what a manifest says itself would be gone.
    for patch in KUSTOMIZATION["patches"]:
        for operation in yaml.safe_load(patch["patch"]):
            *path, last = operation["path"].strip("/").split("/")
            place = manifest
            for part in path:
                place = place[int(part) if part.isdigit() else part]
            assert last not in place


def test_compose_swarm_and_kubernetes_run_the_same_commands():
    for manifest in MANIFESTS:
        if manifest["kind"] in {"Deployment", "Job"}:
            (container,) = manifest["spec"]["template"]["spec"]["containers"]
            service = SERVICES[manifest["metadata"]["name"]]
            assert container.get("command") == service.get("command")


def test_caddy_takes_its_configuration(monkeypatch):
    caddy = system_tool("caddy")
    monkeypatch.setenv("DOMAIN", "example.com")

    check(caddy, "validate", "--config", TREE / "deploy" / "Caddyfile")


@pytest.mark.parametrize("path", sources(".service", ".timer"))
def test_systemd_finds_nothing_in_the_units(path, project, tmp_path):
    analyze = system_tool("systemd-analyze")
    for unit in path.parent.glob("*@.*"):
        # Programs have to be there, under whatever name the project has here.
        text = unit.read_text("utf-8").replace("/srv/%i", str(project))
        (tmp_path / unit.name.replace("@", "@my_site")).write_text(text, "utf-8")

    # What is misspelt is said and ignored, with exit status 0.
    assert not check(analyze, "verify", tmp_path / path.name.replace("@", "@my_site"))

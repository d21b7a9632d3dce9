"""The manifests for Kubernetes."""

import re
import sys

import pytest
import yaml
from support.template import TREE, render
from support.tools import check

KUBERNETES = TREE / "deploy" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text("utf-8"))
MANIFESTS = [
    manifest
    for name in KUSTOMIZATION["resources"]
    for manifest in yaml.safe_load_all((KUBERNETES / name).read_text("utf-8"))
]


@pytest.mark.parametrize("slug", ["my_site", "a"])
def test_kubernetes_namespace_is_valid_for_any_slug(bake, slug):
    project = bake(project_slug=slug, deploy="kubernetes")
    file = project / "deploy" / "kubernetes" / "kustomization.yaml"

    namespace = yaml.safe_load(file.read_text("utf-8"))["namespace"]

    assert re.fullmatch("[a-z]([a-z0-9-]*[a-z0-9])?", namespace)


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
    compose = TREE / "compose.yaml"
    if not compose.exists():
        pytest.skip("The template has no compose.yaml.")
    services = yaml.safe_load(render(compose.read_text("utf-8")))["services"]
    for manifest in MANIFESTS:
        if manifest["kind"] in {"Deployment", "Job"}:
            (container,) = manifest["spec"]["template"]["spec"]["containers"]
            service = services[manifest["metadata"]["name"]]
            assert container.get("command") == service.get("command")

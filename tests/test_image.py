"""
The image, built and run as by compose.yaml and Kubernetes.

The variable CONTAINER_ENGINE names the program that builds it, `docker` or `podman`.
Without access to a registry, use tests/stand_in_images.py.
"""

import json
import os
import re
import secrets
import shlex
import shutil
import subprocess

import pytest
import yaml
from support.server import fetch, free_port, wait_until
from support.site import HTTPS, PRODUCTION

ENGINE = shlex.split(os.environ.get("CONTAINER_ENGINE", ""))

pytestmark = [
    pytest.mark.image,
    pytest.mark.slow,
    pytest.mark.skipif(not ENGINE, reason="CONTAINER_ENGINE is not set"),
]

# Prints the modules of the site, its packages and Python that have no bytecode file.
FIND_UNCOMPILED = """
import importlib.util, pathlib, sysconfig
python = pathlib.Path(sysconfig.get_path("stdlib"))
modules = {
    *pathlib.Path("/app").rglob("*.py"), *python.rglob("*.py")
} - {
    *pathlib.Path("/app/.venv/bin").glob("*.py"), *python.glob("site-packages/**/*.py")
}
cached = importlib.util.cache_from_source
print([str(path) for path in modules if not pathlib.Path(cached(path)).exists()])
"""


def engine(*command):
    """Run the container engine; return its output. Fail if it fails."""
    done = subprocess.run(
        [*ENGINE, *map(str, command)],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def logs(name):
    """Return the output of a container."""
    return subprocess.run(
        [*ENGINE, "logs", name],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=True,
    ).stdout


def passes(name, command, *options):
    """Return whether a command in a container succeeds."""
    done = subprocess.run(
        [*ENGINE, "exec", *options, name, *command], capture_output=True, check=False
    )
    return done.returncode == 0


@pytest.fixture(scope="module")
def folder(project, tmp_path_factory):
    """Return a copy of the project with files that must not be in the image."""
    folder = tmp_path_factory.mktemp("image") / project.name
    shutil.copytree(project, folder, ignore=shutil.ignore_patterns(".venv"))
    (folder / ".venv").mkdir()
    (folder / ".venv" / "not-from-here").touch()
    (folder / ".env.production").write_text("SECRET_KEY=of production\n", "utf-8")
    return folder


@pytest.fixture(scope="module")
def image(folder):
    """Return the name of the built image."""
    name = f"localhost/{folder.name}:{secrets.token_hex(4)}"
    # Docker's format, since that of OCI has no health check.
    options = ["--format", "docker"] if "podman" in ENGINE[0] else []
    engine("build", *options, "--network", "host", "--tag", name, folder)
    yield name
    engine("rmi", name)


@pytest.fixture(scope="module")
def services(folder):
    return yaml.safe_load((folder / "compose.yaml").read_text("utf-8"))["services"]


@pytest.fixture(scope="module")
def health_checks(image, services):
    """Return the health check of web, which is that of the image, and of worker."""
    config = json.loads(engine("inspect", "--type", "image", image))[0]
    # podman has it one level higher.
    check = config.get("Healthcheck") or config["Config"]["Healthcheck"]
    tests = {"web": check["Test"], "worker": services["worker"]["healthcheck"]["test"]}
    assert all(test[0] == "CMD" for test in tests.values())
    return {name: test[1:] for name, test in tests.items()}


@pytest.fixture(scope="module")
def run(image, folder, services):
    """
    Return a function that runs a service of compose.yaml.

    `run(service, *options)` returns the name of the started container or, with the option
    `--rm`, its output.
    """
    volumes = {name: f"{name}-{secrets.token_hex(4)}" for name in ("data", "media")}
    environment = {
        **PRODUCTION,
        "DATABASE_URL": "sqlite:////data/db.sqlite3",
        # The containers use the network of the host.
        "HOST": "127.0.0.1",
    }
    containers = []

    def run(service, *options):
        service = services[service]
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        media, tmpfs = service["volumes"]
        assert media == "media:/app/media"
        assert tmpfs["type"] == "tmpfs"
        if "--rm" not in options:
            containers.append(f"{folder.name}-{secrets.token_hex(4)}")
            options = ["--detach", "--name", containers[-1], *options]
        output = engine(
            *("run", "--network", "host", "--no-healthcheck", "--read-only"),
            *("--tmpfs", tmpfs["target"], "--cap-drop", "ALL"),
            *("--security-opt", "no-new-privileges"),
            *("--volume", f"{volumes['data']}:/data"),
            *("--volume", f"{volumes['media']}:/app/media"),
            *(
                part
                for pair in environment.items()
                for part in ("--env", "=".join(pair))
            ),
            *options,
            image,
            *service.get("command", []),
        )
        return output if "--rm" in options else containers[-1]

    yield run
    for container in containers:
        engine("rm", "--force", container)
    engine("volume", "rm", "--force", *volumes.values())


@pytest.fixture(scope="module")
def port():
    return free_port()


@pytest.fixture(scope="module")
def web(run, port, health_checks):
    """Return the name of a container that serves the site."""
    run("migrate", "--rm")
    name = run("web", "--env", f"PORT={port}")

    wait_until(lambda: passes(name, health_checks["web"]), lambda: logs(name))
    return name


def test_pages_and_static_files_are_served(web, port):
    address = f"http://127.0.0.1:{port}"
    proxy = {"Host": PRODUCTION["ALLOWED_HOSTS"], **HTTPS}

    status, _, page = fetch(address, proxy)
    sheet = re.search(r'rel="stylesheet" href="([^"]+)"', page)[1]

    assert status == 200
    assert fetch(address + sheet, proxy)[0] == 200


def test_user_is_not_root(web):
    assert int(engine("exec", web, "id", "-u")) >= 1000


@pytest.mark.parametrize(
    ("place", "is_writable"),
    [("/data", True), ("/app/media", True), ("/tmp", True), ("/app", False)],
)
def test_only_folders_for_data_are_writable(web, place, is_writable):
    assert passes(web, ["touch", f"{place}/file"]) == is_writable


def test_health_check_fails_without_a_server(web, health_checks):
    assert passes(web, health_checks["web"])
    assert not passes(web, health_checks["web"], "--env", f"PORT={free_port()}")


def test_all_modules_are_compiled(web):
    assert engine("exec", web, "python", "-c", FIND_UNCOMPILED).strip() == "[]"


def test_secrets_and_build_tools_are_not_in_the_image(web):
    files = engine("exec", web, "ls", "--almost-all", "/app", "/app/.venv").split()

    assert "manage.py" in files
    assert "staticfiles" in files
    assert not {".env", ".env.production", ".git", "db.sqlite3", "not-from-here"} & {
        *files
    }
    for tool in ("cc", "curl", "git", "uv"):
        assert not passes(web, ["sh", "-c", f"command -v {tool}"])


@pytest.mark.parametrize("service", ["web", "worker"])
def test_container_stops_with_status_0(run, health_checks, service):
    name = run(service, "--env", f"PORT={free_port()}")
    wait_until(lambda: passes(name, health_checks[service]), lambda: logs(name))

    engine("stop", "--time", "30", name)

    state = json.loads(engine("inspect", "--type", "container", name))[0]["State"]
    assert state["ExitCode"] == 0, logs(name)

"""
Test the image without access to a registry: python3 tests/stand_in_images.py

This script makes substitutes for the base images of the Dockerfile, under their names:
Debian trixie, which has the same version of Python, and the uv that is installed here.
Then it runs tests/test_image.py. It needs root on Debian, the packages debootstrap,
podman and runc, and about two minutes. It leaves no files behind.
"""

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import uv

TESTS = Path(__file__).resolve().parent
DOCKERFILE = TESTS.parent / "{{cookiecutter.project_slug}}" / "Dockerfile"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

CONFIGURATION = """\
[containers]
# Not more than this process has, since it may not raise its limits.
default_ulimits = ["nofile={files}:{files}", "nproc=1024:1024"]
[engine]
# This machine may be a container, without systemd.
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "runc"
"""
STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{folder}/images"
runroot = "{folder}/run"
"""


def main():
    python, uv_image = images()
    with tempfile.TemporaryDirectory(prefix="images-") as name:
        folder = Path(name)
        use(folder)
        system = folder / "system"
        run("debootstrap", "--variant=minbase", "--include=python3", "trixie", system)
        (system / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        # The network of this machine may have its own certificate authority.
        (system / CERTIFICATES.relative_to("/")).parent.mkdir(
            parents=True, exist_ok=True
        )
        shutil.copy(CERTIFICATES, system / CERTIFICATES.relative_to("/"))
        make(python, system, f"ENV SSL_CERT_FILE={CERTIFICATES}")
        program = folder / "uv"
        program.mkdir()
        shutil.copy(uv.find_uv_bin(), program)
        make(uv_image, program)
        run(sys.executable, "-m", "pytest", "-n", "0", TESTS / "test_image.py")


def images():
    """Return the names of the base images of the Dockerfile: Python's and uv's."""
    text = DOCKERFILE.read_text("utf-8")
    python = re.search(r"^FROM (python:\S+)", text, re.MULTILINE)[1]
    return f"docker.io/library/{python}", re.search(r"--from=(\S+/uv:\S+)", text)[1]


def use(folder):
    """Configure podman to keep its files in a folder and to run in a container."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    for variable, text in (
        ("CONTAINERS_CONF", CONFIGURATION.format(files=min(files, 1024))),
        ("CONTAINERS_STORAGE_CONF", STORAGE.format(folder=folder)),
    ):
        path = folder / variable.lower()
        path.write_text(text, "utf-8")
        os.environ[variable] = str(path)
    os.environ["BUILDAH_ISOLATION"] = "chroot"
    os.environ["CONTAINER_ENGINE"] = "podman"


def make(name, folder, *changes):
    """Make an image from the contents of a folder."""
    archive = folder.with_suffix(".tar")
    run("tar", "--create", "--file", archive, "--directory", folder, ".")
    options = [part for change in changes for part in ("--change", change)]
    run("podman", "import", "--quiet", *options, archive, name)


def run(*command):
    subprocess.run(list(map(str, command)), check=True)


if __name__ == "__main__":
    main()

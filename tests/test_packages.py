"""The README of a project, "Keep the packages safe": its blocks are run as written."""

import hashlib
import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import tomllib
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.markdown import apply_diff, blocks
from support.project import copy_project, run
from support.server import Handler
from support.site import PRODUCTION
from support.tools import check

UV = shutil.which("uv", path=Path(sys.executable).parent)


@pytest.fixture
def section(project):
    """Return the blocks of the section, by name."""
    readme = blocks((project / "README.md").read_text("utf-8"))
    texts = [b.text for b in readme if b.section == "Keep the packages safe"]
    return SimpleNamespace(
        **dict(zip(("age", "sbom", "download", "install"), texts, strict=True))
    )


def wheel(version, code=""):
    """Return the bytes of a wheel of the package foo."""
    file = io.BytesIO()
    info = f"foo-{version}.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("foo.py", code)
        metadata = f"Metadata-Version: 2.1\nName: foo\nVersion: {version}\n"
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return file.getvalue()


class Index(http.server.ThreadingHTTPServer):
    """A package index with foo 1.0, released 30 days ago, and foo 1.1, of yesterday."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), IndexHandler)
        self.wheels = {version: wheel(version) for version in ("1.0", "1.1")}
        days = {"1.0": 30, "1.1": 1}
        files = [
            {
                "filename": f"foo-{version}-py3-none-any.whl",
                "url": f"/foo-{version}-py3-none-any.whl",
                "hashes": {"sha256": hashlib.sha256(content).hexdigest()},
                "upload-time": (
                    datetime.now(UTC) - timedelta(days=days[version])
                ).isoformat(),
            }
            for version, content in self.wheels.items()
        ]
        page = {"meta": {"api-version": "1.1"}, "name": "foo", "files": files}
        self.page = json.dumps(page).encode()


class IndexHandler(Handler):
    def do_GET(self):
        if self.path.endswith(".whl"):
            wheel = self.server.wheels[self.path.split("-")[1]]
            self.answer("application/octet-stream", wheel)
        else:
            self.answer("application/vnd.pypi.simple.v1+json", self.server.page)


@pytest.fixture
def index():
    with Index() as index:
        threading.Thread(target=index.serve_forever).start()
        yield index
        index.shutdown()


@pytest.fixture
def uv(index, tmp_path):
    """Return a function that runs uv in `tmp_path` with the index and an empty cache."""
    env = {
        **os.environ,
        "NO_PROXY": "127.0.0.1",
        "UV_DEFAULT_INDEX": f"http://127.0.0.1:{index.server_port}/simple",
        "UV_NO_CACHE": "1",
        "UV_PYTHON": sys.executable,
    }
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "site"\nversion = "1"\nrequires-python = ">=3.11"\n'
        'dependencies = ["foo"]\n\n[tool.uv]\npackage = false\n'
    )

    def uv(*command):
        result = subprocess.run(
            [UV, *command],
            cwd=tmp_path,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        return result.returncode, result.stdout

    return uv


def locked_version(folder):
    lock = tomllib.loads((folder / "uv.lock").read_text("utf-8"))
    (version,) = (p["version"] for p in lock["package"] if p["name"] == "foo")
    return version


def test_minimum_age_ignores_new_releases(section, project, uv, tmp_path):
    uv("lock")
    assert locked_version(tmp_path) == "1.1"
    for folder in (project, tmp_path):  # The diff fits the project's own file as well.
        pyproject = (folder / "pyproject.toml").read_text("utf-8")
        changed = apply_diff(pyproject, section.age)
    (tmp_path / "pyproject.toml").write_text(changed, "utf-8")

    status, output = uv("lock", "--upgrade")

    assert status == 0, output
    assert locked_version(tmp_path) == "1.0"
    assert uv("lock", "--locked")[0] == 0


def test_changed_file_is_not_installed(uv, index, tmp_path):
    uv("lock")
    index.wheels["1.1"] = wheel("1.1", "print('malicious')")

    status, output = uv("sync", "--locked")

    assert status != 0
    assert "Hash mismatch for `foo==1.1`" in output


def test_lock_that_does_not_match_is_refused(uv, tmp_path):
    uv("lock")
    pyproject = tmp_path / "pyproject.toml"
    text = pyproject.read_text("utf-8")
    pyproject.write_text(text.replace('"foo"', '"foo<1.1"'), "utf-8")

    status, output = uv("sync", "--locked")

    assert status != 0
    assert "needs to be updated" in output


def test_every_file_of_the_lock_has_a_hash(project):
    lock = tomllib.loads((project / "uv.lock").read_text("utf-8"))
    packages = [p for p in lock["package"] if "registry" in p["source"]]

    assert len(packages) > 30
    for package in packages:
        files = [*package.get("wheels", []), *filter(None, [package.get("sdist")])]
        assert files
        assert all(file["hash"].startswith("sha256:") for file in files)


def test_sbom_lists_the_packages_of_production(section, project, tmp_path):
    copy = copy_project(project, tmp_path)
    command = section.sbom.splitlines()[1]
    check(*command.replace("uv", UV, 1).split(), cwd=copy)

    sbom = json.loads((copy / "sbom.json").read_text("utf-8"))

    assert sbom["bomFormat"] == "CycloneDX"
    names = {component["name"] for component in sbom["components"]}
    assert {"django", "uvicorn", "sqlparse"} <= names
    assert not {"pytest", "ruff"} & names


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="runs commands in bash")
def test_packages_are_installed_without_a_network(section, project, tmp_path):
    online, offline = (copy_project(project, tmp_path / n) for n in ("on", "off"))
    bash = ("bash", "-e", "-c")
    check(*bash, f"source .venv/bin/activate\n{section.download}", cwd=online)
    (tmp_path / "on" / "wheels").rename(tmp_path / "off" / "wheels")
    (offline / ".venv").unlink()
    # The same version of Python on both machines.
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "uv").symlink_to(UV)
    base = run(project, "-c", "import sys; print(sys._base_executable)")[1].strip()
    (programs / "python3").symlink_to(base)
    nowhere = "http://127.0.0.1:9"
    env = {
        **{k: v for k, v in os.environ.items() if "proxy" not in k.lower()},
        **{"ALL_PROXY": nowhere, "HTTPS_PROXY": nowhere, "HTTP_PROXY": nowhere},
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "UV_DEFAULT_INDEX": f"{nowhere}/simple",
        "UV_HTTP_RETRIES": "0",
        "UV_PYTHON_PREFERENCE": "only-system",
    }
    without_wheels = subprocess.run(
        [UV, "sync", "--no-dev"], cwd=offline, env=env, stderr=subprocess.DEVNULL
    )
    assert without_wheels.returncode != 0

    check(*bash, section.install, cwd=offline, env=env)

    command = ("manage.py", "collectstatic", "--no-input")
    status, output = run(offline, *command, env=PRODUCTION)
    assert status == 0, output
    status, _ = run(offline, "-c", "import pytest")
    assert status == 1

    # A wheel that was changed on the way is refused.
    (django,) = (tmp_path / "off" / "wheels").glob("django-6*.whl")
    with zipfile.ZipFile(django, "a") as archive:
        archive.writestr("django/malicious.py", "")
    result = subprocess.run(
        [*bash, section.install],
        cwd=offline,
        env={**env, "UV_NO_CACHE": "1"},
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert result.returncode != 0
    assert "Hash mismatch" in result.stderr

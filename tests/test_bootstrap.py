"""scripts/bootstrap.py and the hook that runs it, on machines where something fails.

Most tests bootstrap a project without dependencies, with fake programs on PATH.
"""

import http.server
import os
import re
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
import zipfile
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace

import pytest
from support.markdown import blocks
from support.project import python_of
from support.server import Handler, wait_until
from support.template import DEFAULTS, TEMPLATE, TREE, copy_template
from support.tools import need
from uv import find_uv_bin

BOOTSTRAP = TREE / "scripts" / "bootstrap.py"
UV = find_uv_bin()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="The fakes are shell scripts."),
]

PYPROJECT = """\
[project]
name = "clone"
version = "0"
requires-python = ">=3.12"
dependencies = []
[tool.uv]
package = false
"""

ENV_EXAMPLE = """\
# SECRET_KEY= is filled in.
DEBUG=true
SECRET_KEY=
# DATABASE_URL=
"""

MANAGE = """\
import os, pathlib, sys
assert sys.argv[1] == "migrate" and sys.prefix != sys.base_prefix
assert not {"DJANGO_SETTINGS_MODULE", "DATABASE_URL"} & set(os.environ)
pathlib.Path("migrated").touch()
"""


# An import would write bytecode into the template's tree.
bootstrap = SimpleNamespace(**runpy.run_path(str(BOOTSTRAP)))


@pytest.fixture(scope="session")
def new_python(project):
    """Return an interpreter that the project runs on: the one that it was made with."""
    code = "import sys; print(sys._base_executable)"
    done = subprocess.run(
        [python_of(project), "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="session")
def old_pythons(tmp_path_factory):
    """Return interpreters with pip that the project does not run on, without a uv."""
    pythons = []
    for minor in (11, 10):
        name = f"python3.{minor}"
        for candidate in (
            *([sys._base_executable] if sys.version_info[:2] == (3, minor) else []),
            *filter(None, [shutil.which(name)]),
            *Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python"),
        ):
            folder = tmp_path_factory.mktemp(name)
            done = subprocess.run([candidate, "-m", "venv", folder], check=False)
            if done.returncode == 0:
                pythons.append(str(folder / "bin" / "python"))
                break
    return need(pythons, "Python 3.10 or 3.11 with pip")


@pytest.fixture
def old_python(old_pythons):
    return old_pythons[0]


@pytest.fixture
def closed_port():
    """Return a port that refuses connections for as long as the test runs."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        yield unheard.getsockname()[1]


@pytest.fixture
def clone(tmp_path):
    """Return a project without dependencies, in a folder with an awkward name."""
    root = tmp_path / "Mes Projets é" / "clone"
    (root / "scripts").mkdir(parents=True)
    shutil.copy(BOOTSTRAP, root / "scripts")
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / ".env.example").write_text(ENV_EXAMPLE)
    (root / "manage.py").write_text(MANAGE)
    return root


class Machine:
    """A PATH of fakes, an empty home, and nothing else of this machine's."""

    def __init__(self, folder):
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.environment = {
            "PATH": str(self.bin),
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "LC_ALL": "C.UTF-8",
            "UV_CACHE_DIR": str(folder / "uv-cache"),
            "UV_NO_CONFIG": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_PYTHON_INSTALL_DIR": str(folder / "uv-pythons"),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_CACHE_DIR": "1",
        }

    def has(self, name, script, folder="bin"):
        """Put a program on PATH, of a shell script's text or as a link."""
        program = self.bin.parent / folder / name
        program.parent.mkdir(parents=True, exist_ok=True)
        if Path(script).is_absolute():
            program.symlink_to(script)
        else:
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)

    def start(self, clone, python, **environment):
        return subprocess.Popen(
            [python, clone / "scripts" / "bootstrap.py"],
            cwd=clone,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        )

    def bootstraps(self, clone, python, **environment):
        """Run bootstrap.py; return its exit status and the lines that it printed."""
        process = self.start(clone, python, **environment)
        output, _ = process.communicate(timeout=60)
        return process.returncode, output.splitlines()


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def assert_ready(clone):
    key = re.search("^SECRET_KEY=(.*)$", (clone / ".env").read_text(), re.MULTILINE)
    assert re.fullmatch(r"[\w-]{60,}", key[1])
    assert (clone / "uv.lock").exists()
    assert (clone / "migrated").exists()
    code = "import sys; assert sys.version_info >= (3, 12) and sys.prefix != sys.base_prefix"
    subprocess.run([python_of(clone), "-c", code], check=True)


@pytest.fixture
def installed(clone, machine, new_python):
    """Return a project that was bootstrapped."""
    machine.has("uv", UV)
    assert machine.bootstraps(clone, new_python)[0] == 0
    return clone


def test_fresh_clone_is_set_up(clone, machine, new_python):
    machine.has("uv", UV)
    machine.has("python", new_python)
    status, lines = machine.bootstraps(clone, new_python)

    assert status == 0
    assert_ready(clone)
    assert lines[-1] == "Ready. Start the site: python scripts/dev.py"


def test_duration_of_every_step_is_printed(clone, machine, new_python):
    machine.has("uv", UV)
    *steps, _ = machine.bootstraps(clone, new_python)[1]
    # The clone is of the template, which has the code of all answers.
    steps = [step for step in steps if "Node.js" not in step]
    assert steps
    assert all(re.fullmatch(r"[A-Z].* +\d+\.\d s", step) for step in steps)


def test_env_file_is_readable_by_its_owner_only(installed):
    assert (installed / ".env").stat().st_mode & 0o777 == 0o600


def test_each_clone_gets_its_own_secret_key(installed, machine, new_python):
    first = (installed / ".env").read_text()
    (installed / ".env").unlink()
    machine.bootstraps(installed, new_python)
    assert (installed / ".env").read_text() != first


def test_second_run_changes_nothing(installed, machine, new_python):
    def state():
        files = [path for path in installed.iterdir() if path.is_file()]
        config = installed / ".venv" / "pyvenv.cfg"
        return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in [*files, config]}

    (installed / "migrated").unlink()
    before = state()
    assert machine.bootstraps(installed, new_python)[0] == 0
    (installed / "migrated").unlink()
    assert state() == before


def test_packages_that_the_user_installed_are_kept(installed, machine, new_python):
    (site_packages,) = (installed / ".venv").rglob("site-packages")
    package = site_packages / "mine-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    (package / "RECORD").write_text("mine-1.dist-info/METADATA,,\n")
    machine.bootstraps(installed, new_python)
    assert (package / "METADATA").exists()


@pytest.mark.parametrize("content", ["SECRET_KEY=shared\n", ""])
def test_existing_env_file_is_kept(clone, machine, new_python, content):
    machine.has("uv", UV)
    (clone / ".env").write_text(content)
    assert machine.bootstraps(clone, new_python)[0] == 0
    assert (clone / ".env").read_text() == content


def test_dangling_link_to_an_env_file_is_kept(clone, machine, new_python):
    machine.has("uv", UV)
    (clone / ".env").symlink_to("shared.env")
    assert machine.bootstraps(clone, new_python)[0] == 0
    assert not (clone / "shared.env").exists()


def leave_nothing(venv):
    shutil.rmtree(venv)
    venv.mkdir()


def leave_no_python(venv):
    for python in (venv / "bin").glob("python*"):
        python.unlink()


def leave_a_python_that_is_gone(venv):
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").symlink_to("/nowhere/python")


def leave_a_python_that_fails(venv):
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")
    (venv / "bin" / "python").chmod(0o755)


def leave_no_config(venv):
    (venv / "pyvenv.cfg").unlink()


def leave_a_dangling_link(venv):
    shutil.rmtree(venv)
    venv.symlink_to("/nowhere")


@pytest.mark.parametrize(
    "damage",
    [
        leave_nothing,
        leave_no_python,
        leave_a_python_that_is_gone,
        leave_a_python_that_fails,
        leave_no_config,
        leave_a_dangling_link,
    ],
)
def test_damaged_environment_is_recreated(installed, machine, new_python, damage):
    damage(installed / ".venv")
    status, lines = machine.bootstraps(installed, new_python)
    assert status == 0, lines
    assert lines[0].startswith("Removing a broken .venv")
    assert_ready(installed)


def test_moved_project_gets_a_new_environment(installed, machine, new_python):
    moved = installed.rename(installed.with_name("moved"))
    status, lines = machine.bootstraps(moved, new_python)
    assert status == 0, lines
    assert lines[0].startswith("Removing a broken .venv")
    assert str(moved) in (moved / ".venv" / "bin" / "activate").read_text("utf-8")
    assert_ready(moved)


def test_copied_project_gets_a_new_environment(installed, machine, new_python):
    copy = installed.with_name("a copy's folder")
    shutil.copytree(installed, copy, symlinks=True)
    status, lines = machine.bootstraps(copy, new_python)
    assert status == 0, lines
    assert lines[0].startswith("Removing a broken .venv")
    assert_ready(copy)
    assert_ready(installed)
    # The path in the new environment's scripts is quoted, and still recognised.
    lines = machine.bootstraps(copy, new_python)[1]
    assert not lines[0].startswith("Removing")


@pytest.mark.parametrize("options", [[], ["--without-pip", "--copies"]])
def test_environment_of_the_standard_library_is_kept(
    clone, machine, new_python, options
):
    machine.has("uv", UV)
    folder = clone / ".venv"
    subprocess.run([new_python, "-m", "venv", *options, folder], check=True)
    status, lines = machine.bootstraps(clone, new_python)
    assert status == 0, lines
    assert not lines[0].startswith("Removing")


def test_environment_with_an_old_python_is_recreated(
    clone, machine, old_python, new_python
):
    machine.has("uv", UV)
    subprocess.run(
        [old_python, "-m", "venv", "--without-pip", clone / ".venv"], check=True
    )
    assert machine.bootstraps(clone, new_python)[0] == 0
    assert_ready(clone)


def test_new_python_is_found_when_run_by_an_old_one(
    clone, machine, old_pythons, new_python
):
    machine.has("uv", UV)
    machine.has("python3.12", new_python)
    for old_python in old_pythons:
        shutil.rmtree(clone / ".venv", ignore_errors=True)
        status, lines = machine.bootstraps(clone, old_python)
        assert status == 0, lines
        assert_ready(clone)


@pytest.mark.parametrize("folder", ["shims", "broken"])
def test_failing_shims_are_skipped(clone, machine, old_python, new_python, folder):
    for name in ("python3.14", "python3.13", "python3.12", "python3", "python", "uv"):
        machine.has(name, "echo 'command not found' >&2; exit 127", folder)
    machine.has("uv", UV)
    machine.has("python3", new_python)
    path = f"{machine.bin.with_name(folder)}:{machine.bin}"
    status, lines = machine.bootstraps(clone, old_python, PATH=path)
    assert status == 0, lines
    assert_ready(clone)
    # The user's shell would start the shims as well.
    assert lines[-1].endswith("/clone/.venv/bin/python' scripts/dev.py")


@pytest.mark.parametrize("root", [".pyenv", "elsewhere"])
def test_python_of_pyenv_is_found_despite_failing_shims(
    clone, machine, old_python, new_python, root
):
    machine.has("uv", UV)
    machine.has("python3.12", "exit 127", f"{root}/shims")
    version = machine.bin.parent / root / "versions" / "3.12.9" / "bin"
    version.mkdir(parents=True)
    (version / "python").symlink_to(new_python)
    path = f"{machine.bin.parent / root / 'shims'}:{machine.bin}"
    assert machine.bootstraps(clone, old_python, PATH=path)[0] == 0
    assert_ready(clone)


def test_uv_without_dependency_groups_is_skipped(
    clone, machine, old_python, new_python
):
    machine.has("uv", "echo uv 0.4.1", "older")
    machine.has("uv", UV)
    machine.has("python3.12", new_python)
    path = f"{machine.bin.with_name('older')}:{machine.bin}"
    assert machine.bootstraps(clone, old_python, PATH=path)[0] == 0
    assert_ready(clone)


def test_uv_that_started_bootstrap_is_preferred(clone, machine, old_python, new_python):
    machine.has("uv", "touch called; exit 1")
    machine.has("python3.12", new_python)
    assert machine.bootstraps(clone, old_python, UV=UV)[0] == 0
    assert not (clone / "called").exists()


DOWNLOADING_UV = """\
case "$*" in *--managed-python*) exec "{uv}" venv .venv --python "{python}";; esac
exec "{uv}" "$@"
"""


def write_wheel(folder, name, files, program=""):
    """Write a wheel of a package with these files, and a program of the same name."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-99.dist-info"
    with zipfile.ZipFile(folder / f"{name}-99-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        if program:
            script = zipfile.ZipInfo(f"{name}-99.data/scripts/{name}")
            script.external_attr = 0o100755 << 16
            wheel.writestr(script, f"#!/bin/sh\n{program}")
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 99\n"
        wheel.writestr(f"{info}/METADATA", metadata)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return folder


def test_uv_downloads_a_missing_python(clone, machine, old_python, new_python):
    machine.has("uv", DOWNLOADING_UV.format(uv=UV, python=new_python))
    status, lines = machine.bootstraps(clone, old_python)
    assert status == 0, lines
    assert any(line.startswith("Downloading Python 3.13") for line in lines)
    assert_ready(clone)


def test_reason_is_shown_when_uv_cannot_download_python(clone, machine, old_python):
    machine.has("uv", UV)
    machine.has("python", old_python)
    status, lines = machine.bootstraps(clone, old_python)
    assert status == 1
    assert any("Python downloads are set to 'never'" in line for line in lines)
    assert lines[-2] == bootstrap.NO_PYTHON
    assert lines[-1] == "Run it again: python scripts/bootstrap.py"
    assert not (clone / ".venv").exists()


def test_python_is_named_when_there_is_no_network_to_download_it(
    clone, machine, old_python
):
    # As uv 0.13 says it.
    error = (
        "cause: Failed to download https://example.com/cpython-3.13.tar.gz",
        "cause: error sending request for url (https://example.com/cpython-3.13.tar.gz)",
    )
    venv = "; ".join(f'echo "{line}"' for line in error)
    machine.has("uv", f'[ "$1" = venv ] && {{ {venv}; exit 1; }}; exec "{UV}" "$@"')
    machine.has("python", old_python)
    status, lines = machine.bootstraps(clone, old_python)
    assert status == 1
    assert lines[-4:-1] == [*(f"  | {line}" for line in error), bootstrap.NO_PYTHON]


def python_without_pip(python, folder):
    """Return an environment's Python that has neither pip nor uv."""
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    return folder / "bin" / "python"


@pytest.mark.parametrize("with_python", [True, False])
@pytest.mark.parametrize("with_pip", [True, False])
def test_missing_uv_is_downloaded(
    clone, machine, old_python, new_python, tmp_path, with_pip, with_python
):
    if with_python:
        machine.has("python3.12", new_python)
    runner = old_python
    if not with_pip:
        runner = python_without_pip(old_python, tmp_path / "env")
    uv = DOWNLOADING_UV.format(uv=UV, python=new_python)
    wheels = write_wheel(tmp_path / "wheels", "uv", {}, program=uv)
    status, lines = machine.bootstraps(
        clone, runner, PIP_NO_INDEX="1", PIP_FIND_LINKS=wheels.as_uri()
    )
    assert status == 0, "\n".join(lines)
    assert_ready(clone)


def test_missing_uv_pip_and_venv_are_reported(
    clone, machine, old_python, new_python, tmp_path
):
    # Without its package python3-venv, Debian's Python cannot make an environment.
    (tmp_path / "debian").mkdir()
    (tmp_path / "debian" / "venv.py").write_text("raise SystemExit('apt install')")
    machine.has("python3.12", new_python)
    runner = python_without_pip(old_python, tmp_path / "env")
    (site_packages,) = (tmp_path / "env").rglob("site-packages")
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'debian')!r})\n"
    (site_packages / "debian.pth").write_text(code)
    status, lines = machine.bootstraps(clone, runner)
    assert status == 1
    assert lines[-2].startswith("There is neither uv nor a pip to install it with: ")

    machine.has("uv", UV)
    assert machine.bootstraps(clone, runner)[0] == 0
    assert_ready(clone)


def test_uv_workspace_of_a_parent_folder_is_left_alone(clone, machine, new_python):
    machine.has("uv", UV)
    workspace = clone.parent / "pyproject.toml"
    workspace.write_text('[tool.uv.workspace]\nmembers = ["*"]\n')
    status, lines = machine.bootstraps(clone, new_python)
    assert status == 1
    assert lines[-2] == bootstrap.IN_WORKSPACE.format(clone.parent, "clone")
    assert not (clone.parent / ".venv").exists()
    assert not (clone.parent / "uv.lock").exists()

    workspace.write_text(workspace.read_text() + 'exclude = ["clone"]\n')
    assert machine.bootstraps(clone, new_python)[0] == 0
    assert_ready(clone)
    assert not (clone.parent / ".venv").exists()


def test_untrusted_certificate_error_names_the_variable_to_set(
    clone, machine, new_python
):
    error = (
        "error: error sending request; cause: invalid peer certificate: UnknownIssuer"
    )
    machine.has("uv", f'[ "$1" = --version ] && exec {UV} "$@"; echo "{error}"; exit 1')
    status, lines = machine.bootstraps(clone, new_python)
    assert status == 1
    assert lines[-2] == bootstrap.NO_TRUST


@pytest.mark.parametrize("with_uv", [True, False])
def test_missing_network_is_reported_and_a_second_run_completes(
    clone, machine, old_python, new_python, closed_port, with_uv
):
    machine.has("python3.12", new_python)
    machine.has("python", old_python)
    if with_uv:
        machine.has("uv", UV)
    needs_network = PYPROJECT.replace("[]", '["idna"]')
    (clone / "pyproject.toml").write_text(needs_network)
    index = f"http://127.0.0.1:{closed_port}/simple"
    start = time.monotonic()
    status, lines = machine.bootstraps(
        clone, old_python, UV_DEFAULT_INDEX=index, PIP_INDEX_URL=index
    )
    assert status == 1
    assert time.monotonic() - start < 30
    assert lines[-2] == bootstrap.NO_NETWORK
    assert lines[-1] == "Run it again: python scripts/bootstrap.py"
    assert any(line.startswith("  | ") for line in lines)

    (clone / "pyproject.toml").write_text(PYPROJECT)
    machine.has("uv", UV, "later")
    path = f"{machine.bin}:{machine.bin.with_name('later')}"
    assert machine.bootstraps(clone, old_python, PATH=path)[0] == 0
    assert_ready(clone)


SLOW_UV = """\
[ "$1" = sync ] || exec "{uv}" "$@"
{sync}
: > interrupt_me && exec /bin/sleep 60
"""


def interrupt(process, clone):
    """Interrupt bootstrap.py while it installs packages; return its lines."""
    wait_until((clone / "interrupt_me").exists, "bootstrap.py called no uv.")
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=10)
    return output.splitlines()


def test_second_run_after_an_interruption_completes(clone, machine, new_python):
    machine.has("python", new_python)
    machine.has("uv", SLOW_UV.format(uv=UV, sync=""))
    process = machine.start(clone, new_python)
    lines = interrupt(process, clone)

    assert process.returncode == bootstrap.INTERRUPTED
    assert lines[-2] == "Interrupted. What is done is kept."
    assert lines[-1] == "Run it again: python scripts/bootstrap.py"

    (machine.bin / "uv").unlink()
    machine.has("uv", UV)
    assert machine.bootstraps(clone, new_python)[0] == 0
    assert_ready(clone)


def test_half_installed_package_is_repaired(clone, machine, new_python, tmp_path):
    wheels = write_wheel(tmp_path / "wheels", "half", {"half.py": "", "other.py": ""})
    (clone / "pyproject.toml").write_text(PYPROJECT.replace("[]", '["half"]'))
    index = {"UV_FIND_LINKS": str(wheels), "UV_OFFLINE": "1"}
    # uv writes the metadata before the modules.
    sync = f'"{UV}" "$@" || exit 1; /bin/rm .venv/lib/python*/site-packages/half.py'
    machine.has("uv", SLOW_UV.format(uv=UV, sync=sync))
    interrupt(machine.start(clone, new_python, **index), clone)

    (machine.bin / "uv").unlink()
    machine.has("uv", UV)
    status, lines = machine.bootstraps(clone, new_python, **index)
    assert status == 0, lines
    subprocess.run([python_of(clone), "-c", "import half, other"], check=True)
    assert not (clone / ".venv" / bootstrap.UNFINISHED.name).exists()


def test_variables_of_another_project_are_ignored(clone, machine, new_python, tmp_path):
    machine.has("uv", UV)
    status, lines = machine.bootstraps(
        clone,
        new_python,
        DJANGO_SETTINGS_MODULE="other.settings",
        UV_FROZEN="1",
        UV_NO_DEFAULT_GROUPS="1",
        UV_NO_GROUP="dev",
        UV_PROJECT_ENVIRONMENT=str(tmp_path / "other"),
        UV_PYTHON="3.11",
        VIRTUAL_ENV=str(tmp_path / "other"),
    )
    assert status == 0, lines
    assert_ready(clone)
    assert not (tmp_path / "other").exists()


def test_pythonhome_is_ignored(clone, machine, new_python):
    machine.has("uv", UV)
    machine.has("python3.12", new_python)
    # The running Python needs a PYTHONHOME of its own version.
    status, lines = machine.bootstraps(
        clone, sys._base_executable, PYTHONHOME=sys.base_prefix
    )
    assert status == 0, lines
    assert_ready(clone)


@pytest.mark.parametrize("env", [None, "SECRET_KEY=mine\n"])
def test_exported_settings_of_another_project_do_not_reach_the_migration(
    clone, machine, new_python, env
):
    machine.has("uv", UV)
    if env:
        (clone / ".env").write_text(env)
    url = "postgres://other.example.com/customers"
    status, lines = machine.bootstraps(
        clone, new_python, DATABASE_URL=url, DEBUG="release"
    )
    assert status == 0, lines
    assert "Using .env alone to migrate, not this shell's DEBUG, DATABASE_URL." in lines
    assert (clone / "migrated").exists()
    assert url not in "\n".join(lines)


def test_every_variable_that_stops_the_settings_is_ignored(workspace):
    database = workspace.parent / "other.sqlite3"
    code = (
        "import sys; sys.path.insert(0, 'scripts'); import bootstrap as b; b.migrate()"
    )
    subprocess.run(
        [sys.executable, "-B", "-c", code],
        cwd=workspace,
        env={
            **os.environ,
            "DATABASE_URL": f"sqlite:///{database}",
            "DEBUG": "release",
            "SECRET_KEY": "short",
            "CACHE_URL": "memcached://localhost",
        },
        check=True,
    )
    assert not database.exists()


@pytest.mark.parametrize(
    ("files", "is_installed"),
    [
        ([".git", ".pre-commit-config.yaml"], True),
        ([".git"], False),
        ([".pre-commit-config.yaml"], False),
    ],
)
@pytest.mark.parametrize("status", [0, 1])
def test_git_hooks_are_installed(
    installed, machine, new_python, files, is_installed, status
):
    program = installed / ".venv" / "bin" / "pre-commit"
    program.write_text(f'#!/bin/sh\necho "$@" >> hooks\nexit {status}\n')
    program.chmod(0o755)
    for name in files:
        (installed / name).touch()
    assert machine.bootstraps(installed, new_python)[0] == 0
    assert (installed / "hooks").exists() == is_installed
    if is_installed:
        assert (installed / "hooks").read_text() == "install\n"


def test_missing_pre_commit_is_ignored(installed, machine, new_python):
    for name in (".git", ".pre-commit-config.yaml"):
        (installed / name).touch()
    assert machine.bootstraps(installed, new_python)[0] == 0


@pytest.mark.parametrize("name", ["python", "python3"])
def test_last_line_does_not_name_the_python_of_uvx(
    clone, machine, old_python, new_python, tmp_path, name
):
    machine.has("uv", UV)
    machine.has(name, new_python)
    runner = python_without_pip(old_python, tmp_path / "uvx")
    path = f"{runner.parent}:{machine.bin}"
    status, lines = machine.bootstraps(clone, runner, PATH=path)
    assert status == 0, lines
    assert lines[-1] == f"Ready. Start the site: {name} scripts/dev.py"


def test_failed_migration_is_reported(clone, machine, new_python):
    machine.has("uv", UV)
    (clone / "manage.py").write_text("raise SystemExit('no such table')")
    status, lines = machine.bootstraps(clone, new_python)
    assert status == 1
    assert lines[-3:-1] == [
        "  | no such table",
        "The database could not be migrated, for the reason above.",
    ]


@pytest.mark.slow
def test_postgresql_that_is_not_up_is_explained(workspace, closed_port):
    url = f"postgres://ada@127.0.0.1:{closed_port}/night"
    with (workspace / ".env").open("a", encoding="utf-8") as file:
        file.write(f"\nDATABASE_URL={url}\n")
    done = subprocess.run(
        [sys.executable, "scripts/bootstrap.py"],
        cwd=workspace,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 1
    *_, reason, _, _, _, sentence, again = done.stdout.splitlines()
    assert reason.endswith("failed: Connection refused")
    assert sentence.startswith("The database of DATABASE_URL in .env cannot be used")
    assert again == "Run it again: python scripts/bootstrap.py"
    assert "Traceback" not in done.stdout


def test_minimum_python_is_the_one_of_pyproject(bake):
    project = tomllib.loads((bake() / "pyproject.toml").read_text("utf-8"))["project"]
    oldest = ".".join(map(str, bootstrap.MINIMUM_PYTHON))
    assert project["requires-python"] == f">={oldest}"
    assert oldest in bootstrap.NO_PYTHON


# Hostile machines: one clear sentence, then a second run completes


@pytest.fixture
def package(clone, tmp_path):
    """Make the project depend on a package of 4 MB; return the options to install it."""
    wheels = write_wheel(tmp_path / "wheels", "large", {"large.py": "# " + "x" * 2**22})
    (clone / "pyproject.toml").write_text(PYPROJECT.replace("[]", '["large"]'))
    return {"UV_FIND_LINKS": str(wheels), "UV_OFFLINE": "1"}


def assert_stopped(result, sentence):
    """Check that bootstrap.py failed, and that its sentence says why."""
    status, lines = result
    assert status == 1, lines
    assert sentence in lines[-2]
    assert lines[-1].startswith("Run it again: ")
    assert "Traceback" not in "\n".join(lines)


@pytest.fixture
def small_disk(clone):
    """Return a function that mounts a file system with the project on it."""
    if os.geteuid():
        pytest.skip("only root can mount a file system")
    mounted = []

    def mount(options):
        if mounted:
            command = ["mount", "-o", f"remount,{options}", clone]
        else:
            shutil.copytree(clone, clone.with_name("original"))
            command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", clone]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode and not mounted:
            pytest.skip(f"mount is not allowed: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        if not mounted:
            mounted.append(clone)
            shutil.copytree(clone.with_name("original"), clone, dirs_exist_ok=True)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize("free", ["64k", "1m", "3m"])
def test_full_disk_is_reported(clone, machine, new_python, package, small_disk, free):
    machine.has("uv", UV)
    small_disk(f"size={free}")
    result = machine.bootstraps(clone, new_python, **package)
    assert_stopped(result, bootstrap.DISK_FULL)

    small_disk("size=64m")
    status, lines = machine.bootstraps(clone, new_python, **package)
    assert status == 0, lines
    subprocess.run([python_of(clone), "-c", "import large"], check=True)


def test_read_only_file_system_is_reported(clone, machine, new_python, small_disk):
    machine.has("uv", UV)
    small_disk("size=64m")
    small_disk("ro")
    sentence = "uv could not make .venv, for the reason above."
    assert_stopped(machine.bootstraps(clone, new_python), sentence)

    small_disk("rw")
    assert machine.bootstraps(clone, new_python)[0] == 0
    assert_ready(clone)


def as_user(clone, machine, python, *options):
    """Run bootstrap.py as another user, or without the privileges of root."""
    if os.geteuid():
        pytest.skip("only root can become another user")
    setpriv = need(shutil.which("setpriv"), "setpriv")
    process = subprocess.run(
        [setpriv, *options, python, clone / "scripts" / "bootstrap.py"],
        cwd=clone,
        env=machine.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    return process.returncode, process.stdout.splitlines()


def test_missing_permission_is_reported(clone, machine, new_python):
    machine.has("uv", UV)
    clone.chmod(0o500)
    options = "--bounding-set=-dac_override,-dac_read_search"
    result = as_user(clone, machine, new_python, options)
    clone.chmod(0o700)
    assert_stopped(result, "uv could not make .venv, for the reason above.")

    assert as_user(clone, machine, new_python, options)[0] == 0
    assert_ready(clone)


def test_user_without_a_passwd_entry(clone, machine, new_python, tmp_path):
    # Not on PATH: only root may be able to enter the folders of the tests.
    machine.environment["UV"] = UV
    for path in [tmp_path, *tmp_path.rglob("*")]:
        os.chown(path, 54321, 54321, follow_symlinks=False)
    status, lines = as_user(
        clone,
        machine,
        new_python,
        *("--reuid=54321", "--regid=54321", "--clear-groups"),
        # To reach the Python that runs the tests, which may be in root's home.
        *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
    )
    assert status == 0, lines
    assert_ready(clone)
    assert (clone / ".env").stat().st_uid == 54321


def test_project_of_another_owner(clone, machine, new_python):
    if os.geteuid():
        pytest.skip("only root can change the owner of a file")
    machine.has("uv", UV)
    for path in [clone, *clone.rglob("*")]:
        os.chown(path, 54321, 54321)
    status, lines = machine.bootstraps(clone, new_python)
    assert status == 0, lines
    assert_ready(clone)


def unset_home(machine, folder):
    del machine.environment["HOME"]


def use_the_c_locale(machine, folder):
    machine.environment |= {"LC_ALL": "C", "LANG": "C", "PYTHONCOERCECLOCALE": "0"}


def link_the_temporary_folder(machine, folder):
    (folder / "real").mkdir()
    (folder / "link").symlink_to(folder / "real", target_is_directory=True)
    machine.environment["TMPDIR"] = str(folder / "link")


def leave_variables_of_pip_and_uv(machine, folder):
    machine.environment |= {
        "PIP_REQUIRE_VIRTUALENV": "1",
        "PIP_TARGET": str(folder / "target"),
        "PIP_USER": "1",
        "UV_NO_DEV": "1",
        "UV_NO_SYNC": "1",
        "UV_LOCKED": "1",
        "UV_SYSTEM_PYTHON": "1",
        "UV_PROJECT": str(folder / "project"),
        "UV_WORKING_DIRECTORY": str(folder),
    }


def leave_variables_of_python(machine, folder):
    machine.environment |= {
        "PYTHONSAFEPATH": "1",
        "PYTHONWARNINGS": "error",
        "PYTHONOPTIMIZE": "1",
    }


@pytest.mark.parametrize(
    "change",
    [
        unset_home,
        use_the_c_locale,
        link_the_temporary_folder,
        leave_variables_of_pip_and_uv,
        leave_variables_of_python,
    ],
)
def test_unusual_machine_is_no_fault(clone, machine, new_python, tmp_path, change):
    machine.has("uv", UV)
    change(machine, tmp_path)
    status, lines = machine.bootstraps(clone, new_python)
    assert status == 0, lines
    assert_ready(clone)
    assert not (tmp_path / "target").exists()


def test_packages_on_pythonpath_are_ignored(clone, machine, new_python, tmp_path):
    machine.has("uv", UV)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "django.py").write_text("raise SystemExit('another Django')")
    with (clone / "manage.py").open("a") as manage:
        manage.write(
            "import importlib.util\nassert not importlib.util.find_spec('django')"
        )
    path = str(tmp_path / "other")
    status, lines = machine.bootstraps(clone, new_python, PYTHONPATH=path)
    assert status == 0, lines


def test_files_are_private_under_a_strict_umask(clone, machine, new_python):
    machine.has("uv", UV)
    machine.has("python", f'umask 077; exec "{new_python}" "$@"')
    status, lines = machine.bootstraps(clone, machine.bin / "python")
    assert status == 0, lines
    assert_ready(clone)


def test_path_of_200_characters(clone, machine, new_python):
    machine.has("uv", UV)
    long = clone.parent
    while len(str(long)) < 200:
        long = long / ("d" * min(50, 200 - len(str(long))))
    long.mkdir(parents=True)
    moved = clone.rename(long / "clone")
    status, lines = machine.bootstraps(moved, new_python)
    assert status == 0, lines
    assert_ready(moved)


class FaultyIndex(Handler):
    """A package index whose only wheel is slow, cut off or damaged."""

    fault = ""

    def do_GET(self):
        if not self.path.endswith(".whl"):
            name = self.path.strip("/").rpartition("/")[2]
            file = f"{name}-99-py3-none-any.whl"
            self.answer("text/html", f'<a href="/files/{file}">{file}</a>'.encode())
        elif self.fault == "slow":
            time.sleep(5)
        elif self.fault == "cut off":
            self.answer("application/zip", b"PK\x03\x04", length=2**20)
        else:
            self.answer("application/zip", b"This is not a wheel." * 99)


@pytest.mark.parametrize("fault", ["slow", "cut off", "damaged"])
def test_faulty_index_is_reported(clone, machine, new_python, package, fault):
    machine.has("uv", UV)
    handler = type("Index", (FaultyIndex,), {"fault": fault})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as index:
        threading.Thread(target=index.serve_forever).start()
        result = machine.bootstraps(
            clone,
            new_python,
            UV_DEFAULT_INDEX=f"http://127.0.0.1:{index.server_port}/simple",
            UV_HTTP_RETRIES="0",
            UV_HTTP_TIMEOUT="1",
        )
        index.shutdown()
    reason = "uv could not install the packages, for the reason above."
    assert_stopped(result, bootstrap.NO_NETWORK if fault == "slow" else reason)
    assert any("large" in line for line in result[1] if line.startswith("  | "))

    status, lines = machine.bootstraps(clone, new_python, **package)
    assert status == 0, lines


def test_refusing_proxy_is_reported(clone, machine, new_python, package, closed_port):
    machine.has("uv", UV)
    proxy = f"http://127.0.0.1:{closed_port}"
    result = machine.bootstraps(
        clone,
        new_python,
        HTTP_PROXY=proxy,
        UV_DEFAULT_INDEX="http://packages.example/simple",
    )
    assert_stopped(result, bootstrap.NO_NETWORK)
    assert machine.bootstraps(clone, new_python, **package)[0] == 0


def test_option_that_uv_does_not_know_is_reported(clone, machine, new_python):
    error = "error: unexpected argument '--inexact' found"
    machine.has("uv", f'[ "$1" = sync ] || exec "{UV}" "$@"; echo "{error}"; exit 2')
    status, lines = machine.bootstraps(clone, new_python)
    assert_stopped((status, lines), "uv could not install the packages")
    assert f"  | {error}" in lines

    (machine.bin / "uv").unlink()
    machine.has("uv", UV)
    assert machine.bootstraps(clone, new_python)[0] == 0


@pytest.mark.parametrize("step", ["venv", "sync", "migrate"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_second_run_completes_after_a_signal(clone, machine, new_python, step, name):
    block = ": > interrupt_me; exec /bin/sleep 60"
    machine.has("uv", f'[ "$1" = {step} ] && {{ {block}; }}; exec "{UV}" "$@"')
    if step == "migrate":
        code = "open('interrupt_me', 'w').close(); __import__('time').sleep(60)"
        (clone / "manage.py").write_text(code)
    process = machine.start(clone, new_python)
    wait_until((clone / "interrupt_me").exists, f"There was no step {step}.")
    os.killpg(process.pid, getattr(signal, name))
    output, _ = process.communicate(timeout=10)
    assert "Traceback" not in output
    if name == "SIGINT":
        assert "Interrupted. What is done is kept.\n" in output

    (machine.bin / "uv").unlink()
    machine.has("uv", UV)
    (clone / "manage.py").write_text(MANAGE)
    status, lines = machine.bootstraps(clone, new_python)
    assert status == 0, lines
    assert_ready(clone)


def test_second_bootstrap_does_not_disturb_the_first(clone, machine, new_python):
    machine.has("uv", SLOW_UV.format(uv=UV, sync="").replace("sleep 60", "sleep 3"))
    first = machine.start(clone, new_python)
    wait_until((clone / "interrupt_me").exists, "bootstrap.py called no uv.")
    assert_stopped(machine.bootstraps(clone, new_python), bootstrap.AT_WORK)
    first.communicate(timeout=30)
    assert first.returncode == 0

    (machine.bin / "uv").unlink()
    machine.has("uv", UV)
    assert machine.bootstraps(clone, new_python)[0] == 0
    assert_ready(clone)


# Windows, as far as it can be shown elsewhere


def test_powershell_starts_a_quoted_program(monkeypatch):
    names = bootstrap.python_command.__globals__
    monkeypatch.setitem(names, "WINDOWS", True)
    monkeypatch.setitem(names, "output_of", lambda *command: "")
    monkeypatch.setattr(sys, "executable", r"C:\Program Files\Python\python.exe")
    monkeypatch.setitem(names, "VENV_PYTHON", Path("/nowhere"))
    command = bootstrap.python_command()
    assert command == r'& "C:\Program Files\Python\python.exe"'


def test_path_on_another_drive_is_printed_whole():
    path = PureWindowsPath(r"D:\my_site")
    assert bootstrap.path_from(PureWindowsPath(r"C:\Users\ada"), path) == path


@pytest.mark.parametrize("page", [TEMPLATE / "README.md", TREE / "README.md"])
def test_commands_of_the_readme_work_in_powershell(page):
    # Windows PowerShell 5.1 has neither && nor ||.
    for block in blocks(page.read_text("utf-8")):
        if "$(mktemp" not in block.text:  # A script for bash.
            assert not re.search(r"&&|\|\|", block.text)


def test_readme_says_how_to_run_activate_ps1():
    assert "Set-ExecutionPolicy" in (TREE / "README.md").read_text("utf-8")


# The hook, through Cookiecutter itself


@pytest.fixture
def generate(tmp_path, closed_port):
    """Return a function that generates a project without a package index."""
    folder = tmp_path / "Mes Projets é"
    folder.mkdir()
    index = f"http://127.0.0.1:{closed_port}/simple"

    def generate(command=("cookiecutter", "--no-input"), template=TEMPLATE, **env):
        return subprocess.Popen(
            [sys.executable, "-m", *command, str(template)],
            cwd=folder,
            env={
                **os.environ,
                # Cookiecutter's replay file and uv's cache go there.
                "HOME": str(tmp_path),
                "PWD": str(folder),
                "UV_CACHE_DIR": str(tmp_path / "uv-cache"),
                "UV_DEFAULT_INDEX": index,
                "UV_HTTP_RETRIES": "0",
                "UV_PYTHON_DOWNLOADS": "never",
                **env,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        )

    generate.project = folder / DEFAULTS["project_slug"]
    return generate


def git(project, *command):
    done = subprocess.run(
        ["git", *command], cwd=project, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def output_of(process):
    """Return the lines that a process prints; its exit status must be 0."""
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    return output.splitlines()


def test_existing_folder_is_left_alone(generate):
    generate.project.mkdir()
    (generate.project / "mine.txt").write_text("mine")
    process = generate()
    output, _ = process.communicate(timeout=60)
    assert process.returncode
    assert "directory already exists" in output
    assert [path.name for path in generate.project.iterdir()] == ["mine.txt"]


def test_generated_project_is_set_up_and_committed(project):
    assert git(project, "log", "--format=%s", "main") == "First commit"
    assert git(project, "status", "--porcelain") == ""
    assert "uv.lock" in git(project, "ls-files")


def test_environment_has_a_pip_that_uv_sync_keeps(project):
    pip = python_of(project).with_name("pip")
    done = subprocess.run(
        [pip, "--version"], capture_output=True, text=True, check=True
    )
    assert str(project / ".venv") in done.stdout
    subprocess.run([UV, "sync", "--check", "--quiet"], cwd=project, check=True)


def test_last_line_completes_the_project_after_a_missing_network(
    generate, new_python, tmp_path
):
    lines = output_of(generate())
    assert bootstrap.NO_NETWORK in lines
    assert git(generate.project, "log", "--format=%s", "main") == "First commit"

    finished = subprocess.run(lines[-1], shell=True, cwd=tmp_path, check=False)
    assert finished.returncode == 0
    code = "import django; django.VERSION[:2] == (6, 1) or exit(django.VERSION)"
    subprocess.run([python_of(generate.project), "-c", code], check=True)
    assert (generate.project / "db.sqlite3").exists()


def test_no_commit_is_made_without_a_git_identity(generate):
    lines = output_of(generate(GIT_CONFIG_GLOBAL=os.devnull))
    assert any("git does not know who you are" in line for line in lines)
    assert git(generate.project, "branch", "--all") == ""


def test_no_repository_is_made_without_git(generate, tmp_path):
    lines = output_of(generate(PATH=str(tmp_path)))
    assert "No git repository is made because git is not installed." in lines
    assert not (generate.project / ".git").exists()


def test_no_repository_is_made_inside_another_one(generate):
    git(generate.project.parent, "init", "--quiet")
    lines = output_of(generate())
    assert any(
        line.startswith("No git repository is made because the") for line in lines
    )
    assert not (generate.project / ".git").exists()


def test_variables_of_another_repository_are_ignored(generate, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    objects = sorted((other / ".git" / "objects").rglob("*"))
    folder = str(other / ".git")
    output_of(
        generate(
            GIT_DIR=folder,
            GIT_WORK_TREE=str(other),
            GIT_INDEX_FILE=f"{folder}/index",
            GIT_OBJECT_DIRECTORY=f"{folder}/objects",
        )
    )
    assert git(generate.project, "log", "--format=%s", "main") == "First commit"
    assert sorted((other / ".git" / "objects").rglob("*")) == objects


def test_project_is_kept_when_nobody_reads_the_output(generate):
    process = generate()
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert (generate.project / "manage.py").exists()


def test_users_git_hooks_and_signing_do_not_stop_the_first_commit(generate, tmp_path):
    hook = tmp_path / "template" / "hooks" / "commit-msg"
    hook.parent.mkdir(parents=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    config = tmp_path / "gitconfig"
    config.write_text(
        "[user]\n\tname = Ada\n\temail = ada@example.com\n"
        "[commit]\n\tgpgSign = true\n"
        f"[init]\n\ttemplateDir = {hook.parent.parent}\n\tdefaultBranch = trunk\n"
        f"[core]\n\thooksPath = {hook.parent}\n"
    )
    output_of(generate(GIT_CONFIG_GLOBAL=str(config)))
    assert git(generate.project, "log", "--format=%s", "main") == "First commit"


def test_interrupted_hook_keeps_the_project_and_names_the_next_command(
    generate, machine, new_python
):
    machine.has("python3.12", new_python)
    machine.has("uv", SLOW_UV.format(uv=UV, sync=""))
    path = f"{machine.bin}{os.pathsep}{os.environ['PATH']}"
    process = generate(PATH=path)
    wait_until((generate.project / "interrupt_me").exists, "The hook called no uv.")
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=10)

    assert "Interrupted. What is done is kept.\n" in output
    assert re.search(r"^  \S+ .*scripts/bootstrap\.py'?$", output, re.MULTILINE)
    assert (generate.project / "manage.py").exists()


def test_cruft_gets_only_the_files(generate, tmp_path):
    template = copy_template(tmp_path / "template")
    git(template, "init", "--quiet", "--initial-branch=main")
    git(template, "add", "--all")
    git(template, "commit", "--quiet", "--message=Template")

    output_of(generate(("cruft", "create", "--no-input"), template))
    assert (generate.project / ".cruft.json").exists()
    assert not (generate.project / ".git").exists()

    git(generate.project, "init", "--quiet")
    git(generate.project, "add", "--all")
    git(generate.project, "commit", "--quiet", "--message=First commit")
    difference = generate(("cruft", "diff", "--project-dir"), generate.project)
    assert output_of(difference) == []

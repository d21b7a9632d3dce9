"""scripts/bootstrap.py and the hook that runs it, on machines with something amiss.

Most of these bootstrap a project that has no dependencies, on a PATH of fakes.
"""

import os
import re
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.project import python_of
from support.server import wait_until
from support.template import TEMPLATE
from uv import find_uv_bin

BOOTSTRAP = TEMPLATE / "{{cookiecutter.project_slug}}" / "scripts" / "bootstrap.py"
UV = find_uv_bin()

pytestmark = pytest.mark.skipif(os.name == "nt", reason="The fakes are shell scripts.")

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
"""

MANAGE = """\
import os, pathlib, sys
assert sys.argv[1] == "migrate" and sys.prefix != sys.base_prefix
assert "DJANGO_SETTINGS_MODULE" not in os.environ
pathlib.Path("migrated").touch()
"""


# Run, and not imported, which would leave bytecode in the template's tree.
bootstrap = SimpleNamespace(**runpy.run_path(str(BOOTSTRAP)))


def interpreters():
    """Return a real interpreter per version of Python that this machine has."""
    candidates = [sys._base_executable]
    for minor in range(9, 15):
        candidates += [shutil.which(f"python3.{minor}")]
        candidates += map(
            str, Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python")
        )
    found = {}
    for candidate in filter(None, candidates):
        code = "import sys; print(sys.version_info[1], sys._base_executable)"
        done = subprocess.run([candidate, "-c", code], capture_output=True, text=True)
        if done.returncode == 0:
            minor, path = done.stdout.strip().split(" ", 1)
            found.setdefault(int(minor), path)
    return found


@pytest.fixture(scope="session")
def pythons():
    return interpreters()


@pytest.fixture
def new_python(pythons):
    """Return an interpreter that the project runs on."""
    path = next((path for minor, path in pythons.items() if minor >= 12), None)
    return path or pytest.skip("This machine has no Python 3.12 or newer.")


@pytest.fixture
def old_python(pythons):
    """Return an interpreter that the project does not run on, without a uv of its own."""
    for minor, path in pythons.items():
        if minor < 12 and not Path(path).with_name("uv").exists():
            return path
    pytest.skip("This machine has no Python older than 3.12 without a uv of its own.")


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


def test_a_fresh_clone_is_made_runnable(clone, machine, new_python):
    machine.has("uv", UV)
    machine.has("python", new_python)
    status, lines = machine.bootstraps(clone, new_python)

    assert status == 0
    assert_ready(clone)
    assert lines[-1] == "Ready. Start the site: python scripts/dev.py"


def test_every_step_says_how_long_it_took(clone, machine, new_python):
    machine.has("uv", UV)
    *steps, _ = machine.bootstraps(clone, new_python)[1]
    assert steps
    assert all(re.fullmatch(r"[A-Z].* +\d+\.\d s", step) for step in steps)


def test_the_env_file_is_for_its_owner_alone(installed):
    assert (installed / ".env").stat().st_mode & 0o777 == 0o600


def test_each_clone_has_a_key_of_its_own(installed, machine, new_python):
    first = (installed / ".env").read_text()
    (installed / ".env").unlink()
    machine.bootstraps(installed, new_python)
    assert (installed / ".env").read_text() != first


def test_a_second_run_changes_nothing(installed, machine, new_python):
    def state():
        files = [path for path in installed.iterdir() if path.is_file()]
        config = installed / ".venv" / "pyvenv.cfg"
        return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in [*files, config]}

    (installed / "migrated").unlink()
    before = state()
    assert machine.bootstraps(installed, new_python)[0] == 0
    (installed / "migrated").unlink()
    assert state() == before


def test_what_the_user_installed_stays(installed, machine, new_python):
    (site_packages,) = (installed / ".venv").rglob("site-packages")
    package = site_packages / "mine-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    (package / "RECORD").write_text("mine-1.dist-info/METADATA,,\n")
    machine.bootstraps(installed, new_python)
    assert (package / "METADATA").exists()


@pytest.mark.parametrize("content", ["SECRET_KEY=shared\n", ""])
def test_an_env_file_is_kept(clone, machine, new_python, content):
    machine.has("uv", UV)
    (clone / ".env").write_text(content)
    assert machine.bootstraps(clone, new_python)[0] == 0
    assert (clone / ".env").read_text() == content


def test_a_link_to_an_env_file_is_kept_though_it_leads_nowhere(
    clone, machine, new_python
):
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
def test_a_half_made_environment_is_made_again(installed, machine, new_python, damage):
    damage(installed / ".venv")
    status, lines = machine.bootstraps(installed, new_python)
    assert status == 0, lines
    assert lines[0].startswith("Removing a broken .venv")
    assert_ready(installed)


def test_an_environment_with_an_old_python_is_made_again(
    clone, machine, old_python, new_python
):
    machine.has("uv", UV)
    subprocess.run(
        [old_python, "-m", "venv", "--without-pip", clone / ".venv"], check=True
    )
    assert machine.bootstraps(clone, new_python)[0] == 0
    assert_ready(clone)


@pytest.mark.parametrize("minor", [9, 10, 11])
def test_it_runs_under_an_older_python_and_finds_a_new_one(
    clone, machine, pythons, new_python, minor
):
    if minor not in pythons:
        pytest.skip(f"This machine has no Python 3.{minor}.")
    machine.has("uv", UV)
    machine.has("python3.12", new_python)
    status, lines = machine.bootstraps(clone, pythons[minor])
    assert status == 0, lines
    assert_ready(clone)


@pytest.mark.parametrize("folder", ["shims", "broken"])
def test_shims_that_fail_are_stepped_over(
    clone, machine, old_python, new_python, folder
):
    for name in ("python3.14", "python3.13", "python3.12", "python3", "python", "uv"):
        machine.has(name, "echo 'command not found' >&2; exit 127", folder)
    machine.has("uv", UV)
    machine.has("python3", new_python)
    path = f"{machine.bin.with_name(folder)}:{machine.bin}"
    status, lines = machine.bootstraps(clone, old_python, PATH=path)
    assert status == 0, lines
    assert_ready(clone)
    # A shell would start the shims, too.
    assert lines[-1].endswith("/clone/.venv/bin/python' scripts/dev.py")


@pytest.mark.parametrize("root", [".pyenv", "elsewhere"])
def test_pyenvs_versions_are_found_behind_its_shims(
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


def test_a_uv_too_old_for_dependency_groups_is_stepped_over(
    clone, machine, old_python, new_python
):
    machine.has("uv", "echo uv 0.4.1", "older")
    machine.has("uv", UV)
    machine.has("python3.12", new_python)
    path = f"{machine.bin.with_name('older')}:{machine.bin}"
    assert machine.bootstraps(clone, old_python, PATH=path)[0] == 0
    assert_ready(clone)


def test_the_uv_that_started_it_is_preferred(clone, machine, old_python, new_python):
    machine.has("uv", "touch called; exit 1")
    machine.has("python3.12", new_python)
    assert machine.bootstraps(clone, old_python, UV=UV)[0] == 0
    assert not (clone / "called").exists()


@pytest.mark.parametrize("with_uv", [False, True])
def test_without_a_new_python_it_says_how_to_get_one(
    clone, machine, old_python, with_uv
):
    if with_uv:
        machine.has("uv", UV)
    machine.has("python", old_python)
    status, lines = machine.bootstraps(clone, old_python)
    assert status == 1
    assert lines[-2].startswith("This project needs Python 3.12 or newer, and none was")
    assert lines[-1] == "Run it again: python scripts/bootstrap.py"
    assert not (clone / ".venv").exists()


@pytest.fixture
def wheels(tmp_path):
    """Return a folder with a wheel of uv, to be had without a network."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "uv-99-py3-none-any.whl", "w") as wheel:
        info = "uv-99.dist-info"
        program = zipfile.ZipInfo("uv-99.data/scripts/uv")
        program.external_attr = 0o100755 << 16
        wheel.writestr(program, f'#!/bin/sh\nexec "{UV}" "$@"\n')
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: uv\nVersion: 99\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return folder


def python_without_pip(python, folder):
    """Return an environment's Python that has neither pip nor uv."""
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    return folder / "bin" / "python"


@pytest.mark.parametrize("with_pip", [True, False])
def test_without_uv_it_is_installed_in_the_environment(
    clone, machine, old_python, new_python, wheels, tmp_path, with_pip
):
    machine.has("python3.12", new_python)
    runner = (
        old_python if with_pip else python_without_pip(old_python, tmp_path / "env")
    )
    status, lines = machine.bootstraps(
        clone, runner, PIP_NO_INDEX="1", PIP_FIND_LINKS=wheels.as_uri()
    )
    assert status == 0, "\n".join(lines)
    assert_ready(clone)
    assert (clone / ".venv" / "bin" / "uv").exists()


def test_without_uv_pip_and_ensurepip_it_says_so(
    clone, machine, old_python, new_python, tmp_path
):
    # Debian's Python has an ensurepip that only says where to get another.
    (tmp_path / "debian").mkdir()
    (tmp_path / "debian" / "ensurepip.py").write_text("raise SystemExit('apt install')")
    machine.has("python3.12", new_python)
    runner = python_without_pip(old_python, tmp_path / "env")
    path = str(tmp_path / "debian")
    status, lines = machine.bootstraps(clone, runner, PYTHONPATH=path)
    assert status == 1
    assert lines[-2].startswith("There is neither uv nor a pip to install it with: ")

    machine.has("uv", UV)
    assert machine.bootstraps(clone, runner)[0] == 0
    assert_ready(clone)


def test_behind_a_proxy_with_its_own_certificate_it_says_what_to_set(
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
def test_without_a_network_it_says_so_and_can_be_finished_later(
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
[ "$1" = --version ] && exec "{uv}" --version
/bin/mkdir -p .venv/bin && : > interrupt_me && exec /bin/sleep 60
"""


def test_interrupted_it_can_be_run_again(clone, machine, new_python):
    machine.has("python", new_python)
    machine.has("uv", SLOW_UV.format(uv=UV))
    process = machine.start(clone, new_python)
    wait_until((clone / "interrupt_me").exists, "bootstrap.py called no uv.")
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=10)
    lines = output.splitlines()

    assert process.returncode == bootstrap.INTERRUPTED
    assert lines[-2] == "Interrupted. What is done is kept."
    assert lines[-1] == "Run it again: python scripts/bootstrap.py"

    (machine.bin / "uv").unlink()
    machine.has("uv", UV)
    assert machine.bootstraps(clone, new_python)[0] == 0
    assert_ready(clone)


def test_what_the_shell_set_for_another_project_is_left_out(
    clone, machine, new_python, tmp_path
):
    machine.has("uv", UV)
    status, lines = machine.bootstraps(
        clone,
        new_python,
        DJANGO_SETTINGS_MODULE="other.settings",
        UV_FROZEN="1",
        UV_PROJECT_ENVIRONMENT=str(tmp_path / "other"),
        UV_PYTHON="3.11",
        VIRTUAL_ENV=str(tmp_path / "other"),
    )
    assert status == 0, lines
    assert_ready(clone)
    assert not (tmp_path / "other").exists()


def test_pythonhome_is_left_out(clone, machine, old_python, new_python):
    machine.has("uv", UV)
    machine.has("python3.12", new_python)
    home = str(Path(old_python).parent.parent)
    status, lines = machine.bootstraps(clone, old_python, PYTHONHOME=home)
    assert status == 0, lines
    assert_ready(clone)


def test_a_migration_that_fails_is_shown(clone, machine, new_python):
    machine.has("uv", UV)
    (clone / "manage.py").write_text("raise SystemExit('no such table')")
    status, lines = machine.bootstraps(clone, new_python)
    assert status == 1
    assert lines[-3:-1] == [
        "  | no such table",
        "The database could not be migrated, for the reason above.",
    ]


def test_it_looks_for_the_python_that_pyproject_asks_for(bake):
    project = tomllib.loads((bake() / "pyproject.toml").read_text("utf-8"))["project"]
    oldest = ".".join(map(str, bootstrap.OLDEST_PYTHON))
    assert project["requires-python"] == f">={oldest}"
    assert oldest in bootstrap.NO_PYTHON


# The hook, through Cookiecutter itself


@pytest.fixture
def generate(tmp_path, closed_port):
    """Return a function that generates a project where no registry answers."""
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

    generate.project = folder / "my_site"
    return generate


def git(project, *command):
    done = subprocess.run(
        ["git", *command], cwd=project, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def output_of(process):
    """Return the lines of a process that has to end well."""
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    return output.splitlines()


def test_a_generated_project_is_ready_and_committed(project):
    assert git(project, "log", "--format=%s", "main") == "First commit"
    assert git(project, "status", "--porcelain") == ""
    assert "uv.lock" in git(project, "ls-files")


def test_without_a_registry_the_last_line_finishes_the_project(
    generate, new_python, tmp_path
):
    lines = output_of(generate(PYENV_ROOT=str(Path.home() / ".pyenv")))
    assert bootstrap.NO_NETWORK in lines
    assert git(generate.project, "log", "--format=%s", "main") == "First commit"

    finished = subprocess.run(lines[-1], shell=True, cwd=tmp_path, check=False)
    assert finished.returncode == 0
    code = "import django; django.VERSION[:2] == (6, 1) or exit(django.VERSION)"
    subprocess.run([python_of(generate.project), "-c", code], check=True)
    assert (generate.project / "db.sqlite3").exists()


def test_without_an_identity_no_commit_is_made(generate):
    lines = output_of(generate(GIT_CONFIG_GLOBAL=os.devnull))
    assert any("git does not know who you are" in line for line in lines)
    assert git(generate.project, "branch", "--all") == ""


def test_without_git_no_repository_is_made(generate, tmp_path):
    lines = output_of(generate(PATH=str(tmp_path)))
    assert "No git repository is made, for there is no git here." in lines
    assert not (generate.project / ".git").exists()


def test_the_users_git_hooks_and_signing_do_not_stop_the_first_commit(
    generate, tmp_path
):
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


def test_interrupted_the_hook_leaves_the_project_and_says_how_to_go_on(
    generate, machine, new_python
):
    machine.has("uv", SLOW_UV.format(uv=UV))
    path = f"{machine.bin}{os.pathsep}{os.environ['PATH']}"
    process = generate(PATH=path, PYENV_ROOT=str(Path.home() / ".pyenv"))
    wait_until((generate.project / "interrupt_me").exists, "The hook called no uv.")
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=10)

    assert "Interrupted. What is done is kept.\n" in output
    assert re.search(r"^  \S+ .*scripts/bootstrap\.py'?$", output, re.MULTILINE)
    assert (generate.project / "manage.py").exists()


def test_cruft_gets_the_files_alone(generate, tmp_path):
    template = tmp_path / "template"
    ignored = shutil.ignore_patterns(
        ".git", ".venv", ".*_cache", "__pycache__", "node_modules"
    )
    shutil.copytree(TEMPLATE, template, ignore=ignored)
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

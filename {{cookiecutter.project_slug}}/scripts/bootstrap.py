"""
Make a fresh clone runnable: packages in .venv, a .env, a migrated database.

    python scripts/bootstrap.py

Run it as often as you like. It repairs what is missing and keeps what is yours.
It runs before anything is installed, so it has to do with the standard library, and
with any Python from 3.9 on: the project's own Python, 3.12 or newer, it looks for.
"""

import contextlib
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WINDOWS = os.name == "nt"
VENV = ROOT / ".venv"
VENV_BIN = VENV / ("Scripts" if WINDOWS else "bin")
VENV_PYTHON = VENV_BIN / ("python.exe" if WINDOWS else "python")
PATH = os.environ.get("PATH", os.defpath).split(os.pathsep)

OLDEST_PYTHON = (3, 12)
# Tried by name in this order; the first is downloaded when there is no Python.
PYTHONS = ("3.13", "3.14", "3.12")
# The first to install dependency groups by default is 0.4.27.
OLDEST_UV = (0, 5)

INTERRUPTED = 130

# Where another project's shell or a container image points uv, pip and Django to
# places that are not this project's.
LEAKS = re.compile(
    "DJANGO_SETTINGS_MODULE|PIP_(PREFIX|TARGET|USER)|PYTHONHOME|VIRTUAL_ENV|"
    "UV_(FROZEN|LOCKED|NO_DEV|NO_SYNC|PROJECT.*|PYTHON|SYSTEM_PYTHON|WORKING_DIR.*)"
)
ENVIRONMENT = {k: v for k, v in os.environ.items() if not LEAKS.fullmatch(k)}
# uv's own three would make one wait for a network that is not there.
ENVIRONMENT.setdefault("UV_HTTP_RETRIES", "1")

NO_NETWORK = (
    "The packages cannot be fetched because their index does not answer: check the "
    "network, and the proxy if there is one."
)
NO_TRUST = (
    "The packages cannot be fetched because uv does not know who signed their index's "
    "certificate, as behind a company's proxy: set UV_SYSTEM_CERTS=true for it to ask "
    "this system, and run this again."
)
# What uv and pip say, and what it means; the first that is found counts.
SIGNS = {
    "invalid peer certificate": NO_TRUST,
    "error sending request|timed out|NewConnectionError|ConnectTimeout|ProxyError": (
        NO_NETWORK
    ),
}
NO_PYTHON = "This project needs Python 3.12 or newer, and none was found: install " + (
    "it with `winget install Python.Python.3.13`."
    if WINDOWS
    else "it with `brew install python@3.13`."
    if sys.platform == "darwin"
    else "your system's package for it (python3.13 or python3.12), or uv, which "
    "fetches one: https://docs.astral.sh/uv/getting-started/installation/"
)
NO_PIP = (
    "There is neither uv nor a pip to install it with: install uv as "
    "https://docs.astral.sh/uv/getting-started/installation/ says."
)


class Problem(Exception):
    """What stops us, as a sentence for the user, and the output that led to it."""

    def __init__(self, sentence, output=""):
        super().__init__(sentence)
        self.output = output


def main():
    """Set the project up; return the exit status, having said what went wrong."""
    try:
        set_up()
    except KeyboardInterrupt:
        print("Interrupted. What is done is kept.", flush=True)
        return INTERRUPTED
    except Problem as problem:
        for line in problem.output.splitlines()[-8:]:
            print(f"  | {line}")
        print(problem, flush=True)
        return 1
    except OSError as error:
        print(f"This system does not allow it: {error}.", flush=True)
        return 1
    return 0


def set_up():
    if os.path.lexists(VENV) and not is_whole_venv():
        with step("Removing a broken .venv"):
            VENV.unlink() if VENV.is_symlink() else shutil.rmtree(VENV)
    with step("Looking for Python and uv"):
        uv = find_uv()
        python = VENV_PYTHON if VENV.exists() else find_python(uv)
        if not python and not uv:
            raise Problem(NO_PYTHON)
    if not python:
        with step(f"Downloading Python {PYTHONS[0]}"):
            python = download_python(uv)
    if not uv:
        with step("Installing uv in .venv"):
            uv = install_uv(python)
    with step("Installing the packages in .venv"):
        install_packages(uv, python)
    if not os.path.lexists(ROOT / ".env"):
        with step("Writing .env with a new SECRET_KEY"):
            write_env()
    with step("Migrating the database"):
        run(
            *(VENV_PYTHON, "manage.py", "migrate", "--no-input"),
            otherwise="The database could not be migrated, for the reason above.",
        )


@contextlib.contextmanager
def step(what):
    print(f"{what:<40}", end="", flush=True)
    start = time.perf_counter()
    try:
        yield
    except BaseException:
        print("stopped", flush=True)
        raise
    print(f"{time.perf_counter() - start:6.1f} s", flush=True)


def is_whole_venv():
    """Tell whether .venv was made to the end, with a Python that is new enough."""
    return (VENV / "pyvenv.cfg").exists() and real_python(VENV_PYTHON)


def find_uv():
    """Return the path of a uv that works, or None."""
    here = Path(sys.executable).parent
    for uv in (
        *filter(None, [os.environ.get("UV")]),
        *every("uv", [*PATH, here, here / "Scripts", VENV_BIN]),
    ):
        version = re.match(r"uv (\d+)\.(\d+)", answer(uv, "--version"))
        if version and tuple(map(int, version.groups())) >= OLDEST_UV:
            return uv
    return None


def find_python(uv):
    """Return the path of a Python that is new enough, or None."""
    if sys.version_info >= OLDEST_PYTHON:
        return getattr(sys, "_base_executable", None) or sys.executable
    # pyenv's Pythons come before its shims, which are slow and may fail.
    pyenvs = [Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()]
    pyenvs += [Path(folder).parent for folder in PATH if Path(folder).name == "shims"]
    names = [*(f"python{version}" for version in PYTHONS), "python3", "python"]
    for command in (
        *(
            [path]
            for version in PYTHONS
            for pyenv in pyenvs
            for path in pyenv.glob(f"versions/{version}.*/bin/python")
        ),
        *([path] for name in names for path in every(name, PATH)),
        ["py", "-3"],
    ):
        if python := real_python(*command):
            return python
    # Last, for it gives up at the first shim that fails.
    return uv and answer(uv, "python", "find", "--system", "--no-project", ">=3.12")


def every(name, folders):
    """Yield the programs of this name in the folders."""
    for folder in folders:
        if program := shutil.which(name, path=str(folder)):
            yield program


def real_python(*command):
    """Return the path of the Python that the command starts, if it is new enough."""
    code = (
        f"import sys; sys.version_info < {OLDEST_PYTHON} and sys.exit(1);"
        "print(getattr(sys, '_base_executable', None) or sys.executable)"
    )
    return answer(*command, "-I", "-S", "-X", "utf8", "-c", code)


def download_python(uv):
    """Let uv make .venv with a Python of its own; return the path of it there."""
    # Managed, or else uv asks all of PATH and gives up at the first shim that fails.
    answer(uv, "venv", "--no-project", "--managed-python", "--python", PYTHONS[0], VENV)
    if not VENV_PYTHON.exists():
        raise Problem(NO_PYTHON)
    return VENV_PYTHON


def install_uv(python):
    """Install uv in a new .venv with whichever pip there is; return its path."""
    if not VENV.exists():
        # Debian's Python cannot make one with pip.
        run(
            *(python, "-m", "venv", "--without-pip", VENV),
            otherwise=f"{python} cannot make .venv, for the reason above.",
        )
    pip = (sys.executable, "-m", "pip", "--python", VENV_PYTHON)
    # Older ones than 23.1 answer --version, but cannot read a new Python's packages.
    if not answer(*pip, "inspect"):
        pip = (VENV_PYTHON, "-m", "pip")
        run(VENV_PYTHON, "-m", "ensurepip", otherwise=NO_PIP)
    run(
        *(*pip, "install", "--quiet", "--no-input", "--disable-pip-version-check"),
        *("--retries", "1", "--timeout", "15", "uv"),
        otherwise="pip could not install uv, for the reason above.",
    )
    return find_uv() or VENV_BIN / "uv"


def install_packages(uv, python):
    """Install what uv.lock says, making it if there is none."""
    with tempfile.TemporaryDirectory() as folder:
        if WINDOWS and VENV_BIN in Path(uv).parents:
            # It may have to replace itself, and Windows locks running programs.
            uv = shutil.copy2(uv, folder)
        run(
            # What you installed in .venv yourself stays.
            *(uv, "sync", "--inexact", "--python", python),
            otherwise="uv could not install the packages, for the reason above.",
        )


def write_env():
    """Write .env as .env.example has it, for the owner's eyes, with a key."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    key = f"SECRET_KEY={secrets.token_urlsafe(50)}"
    text = re.sub("^SECRET_KEY=.*$", key, text, flags=re.MULTILINE)
    env = ROOT / ".env"
    env.touch(mode=0o600, exist_ok=False)
    try:
        env.write_text(text, encoding="utf-8")
    except BaseException:
        # Half of it would be taken for yours the next time.
        env.unlink()
        raise


def run(*command, otherwise, stderr=subprocess.STDOUT):
    """Return what a command prints; raise that with a sentence if it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode:
        known = (why for sign, why in SIGNS.items() if re.search(sign, done.stdout))
        raise Problem(next(known, otherwise), done.stdout)
    return done.stdout.strip()


def answer(*command):
    """Return what a command prints, or nothing if it fails or does not exist."""
    with contextlib.suppress(Problem, OSError):
        return run(*command, otherwise="", stderr=subprocess.DEVNULL)
    return ""


def python_command():
    """Return what starts a Python on this machine, as one types it."""
    code = "import sys; print(sys.version_info >= (3, 9))"
    for name in ("python", "py") if WINDOWS else ("python", "python3"):
        if shutil.which(name) and answer(name, "-c", code) == "True":
            return name
    return quoted(VENV_PYTHON)


def quoted(path):
    """Return a path as it is typed in this system's shells."""
    if not WINDOWS:
        return shlex.quote(str(path))
    return f'"{path}"' if " " in str(path) else str(path)


if __name__ == "__main__":
    # A console or a pipe may not know every letter of a path.
    sys.stdout.reconfigure(errors="replace")
    status = main()
    script = Path(__file__).with_name("bootstrap.py" if status else "dev.py")
    print("Run it again:" if status else "Ready. Start the site:", end=" ")
    print(python_command(), quoted(os.path.relpath(script)))
    sys.exit(status)

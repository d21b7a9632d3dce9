"""
Make a fresh clone runnable: packages in .venv, a .env, a migrated database.

    python scripts/bootstrap.py

Run it as often as you like. It repairs what is missing and keeps what is yours.
It runs before anything is installed, so it uses only the standard library and works
with Python 3.10 or newer. It finds or downloads the Python that the project needs.
"""

import contextlib
import errno
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
# This file exists while packages are being installed.
UNFINISHED = VENV / "unfinished-installation"
PATH = os.environ.get("PATH", os.defpath).split(os.pathsep)

MINIMUM_PYTHON = (3, 12)
# Searched by name in this order. Without any of them, the first is downloaded.
PYTHON_VERSIONS = ("3.13", "3.14", "3.12")
# The first release that installs dependency groups by default is 0.4.27.
MINIMUM_UV = (0, 5)
#: if cookiecutter.frontend == "vite"
MINIMUM_NODE = (20, 19)
#: endif

INTERRUPTED = 130  # the exit status of programs that Ctrl-C stopped

# A shell or a container image that was set up for another project points git, uv, pip
# and Django to the files of that project.
IGNORED_VARIABLES = re.compile(
    "DJANGO_SETTINGS_MODULE|PIP_(PREFIX|REQUIRE_VIRTUALENV|TARGET|USER)|"
    "PYTHON(HOME|PATH|SAFEPATH|WARNINGS)|VIRTUAL_ENV|"
    "GIT_((ALTERNATE_)?OBJECT_DIRECTOR(Y|IES)|COMMON_DIR|DIR|INDEX_FILE|NAMESPACE|"
    "PREFIX|WORK_TREE)|UV_(FROZEN|LOCKED|NO_(DEFAULT_GROUPS|DEV|GROUP|SYNC)|PROJECT.*|"
    "PYTHON|SYSTEM_PYTHON|WORKING_DIR.*)"
)
ENVIRONMENT = {
    k: v for k, v in os.environ.items() if not IGNORED_VARIABLES.fullmatch(k)
}
# With the default of three retries, uv takes long to notice a missing network.
ENVIRONMENT.setdefault("UV_HTTP_RETRIES", "1")

NO_NETWORK = (
    "The packages cannot be downloaded because the package index does not answer: "
    "check the network, and the proxy if there is one."
)
NO_TRUST = (
    "The packages cannot be downloaded because uv does not trust the certificate of "
    "the package index, as behind a company's proxy: set UV_SYSTEM_CERTS=true to use "
    "this system's certificates (UV_NATIVE_TLS=true with an old uv), and run this again."
)
NO_DATABASE = (
    "The database of DATABASE_URL in .env cannot be used, for the reason above: start "
    #: if cookiecutter.database == "postgresql"
    'it, as "Start the site" in README.md shows, or delete DATABASE_URL from .env to use '
    "SQLite."
    #: else
    "it, or delete DATABASE_URL from .env to use SQLite."
    #: endif
)
NO_PYTHON = (
    "This project needs Python 3.12 or newer. None was found, and uv could not "
    "download one for the reason above: install it "
) + (
    "with `winget install Python.Python.3.13`."
    if WINDOWS
    else "with `brew install python@3.13`."
    if sys.platform == "darwin"
    else "from your system's packages (python3.13 or python3.12)."
)
AT_WORK = "Another bootstrap.py is setting up this project: wait until it has finished."
DISK_FULL = "The disk is full: free some space, and run this again."
# Patterns in the output of uv and pip, and what they mean. The first match counts.
KNOWN_ERRORS = {
    "[Nn]o space left on device|not enough space on the disk": DISK_FULL,
    "invalid peer certificate": NO_TRUST,
    "Failed to download .*cpython": NO_PYTHON,  # Before the reason, no network.
    "error sending request|timed out|NewConnectionError|ConnectTimeout|ProxyError": (
        NO_NETWORK
    ),
    "couldn't get a connection|connection to server at": NO_DATABASE,
}
#: if cookiecutter.frontend == "vite"
NO_NODE = (
    "Vite is not installed because it needs Node.js 20.19 or newer: install it from "
    "https://nodejs.org/, and run this again. Without it, pages have no Tailwind classes."
)
#: endif
NO_PIP = (
    "There is neither uv nor a pip to install it with: install uv as "
    "https://docs.astral.sh/uv/getting-started/installation/ says."
)
IN_WORKSPACE = (
    "The project is part of the uv workspace in {}, so uv would install its packages "
    'there. Add exclude = ["{}"] under [tool.uv.workspace] in the pyproject.toml of '
    "the workspace, or move the project to another folder."
)


class SetupError(Exception):
    """An error as a sentence for the user, with the output of the failed command."""

    def __init__(self, sentence, output=""):
        super().__init__(sentence)
        self.output = output


def main():
    """Set the project up, print errors, and return the exit status."""
    try:
        with lock():
            set_up()
    except KeyboardInterrupt:
        print("Interrupted. What is done is kept.", flush=True)
        return INTERRUPTED
    except SetupError as error:
        for line in last_lines(error.output):
            print(f"  | {line}")
        print(error, flush=True)
        return 1
    except OSError as error:
        if error.errno == errno.ENOSPC:
            print(DISK_FULL, flush=True)
        else:
            print(f"This system does not allow it: {error}.", flush=True)
        return 1
    return 0


@contextlib.contextmanager
def lock():
    """Raise an error if another bootstrap.py is at work in this project.

    The system releases the lock when the process ends, however it ends.
    """
    with Path(__file__).open("rb") as file:
        try:
            if WINDOWS:
                import msvcrt

                # Beyond the end of the file: Windows lets nobody read what is locked.
                file.seek(2**30)
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise SetupError(AT_WORK) from None
        except OSError:
            pass  # A network file system may have no locks.
        yield


def set_up():
    if os.path.lexists(VENV) and not is_usable_venv():
        with step("Removing a broken .venv"):
            VENV.unlink() if VENV.is_symlink() else shutil.rmtree(VENV)
    with tempfile.TemporaryDirectory() as folder:
        with step("Looking for Python and uv"):
            uv = find_uv()
            python = VENV_PYTHON if VENV.exists() else find_python(uv)
        if not uv:
            with step("Downloading uv"):
                uv = download_uv(folder)
        elif WINDOWS and VENV_BIN in Path(uv).parents:
            # uv may replace itself in .venv, and Windows locks running programs.
            uv = shutil.copy2(uv, folder)
        check_workspace(uv)
        if not python:
            with step(f"Downloading Python {PYTHON_VERSIONS[0]}"):
                # Otherwise, uv searches PATH and gives up at a shim that fails.
                make_venv(uv, PYTHON_VERSIONS[0], "--managed-python", error=NO_PYTHON)
        with step("Installing the packages in .venv"):
            if not VENV.exists():
                make_venv(
                    uv, python, error="uv could not make .venv, for the reason above."
                )
            install_packages(uv)
    if not os.path.lexists(ROOT / ".env"):
        with step("Writing .env with a new SECRET_KEY"):
            write_env()
    migrate()
    #: if cookiecutter.frontend == "vite"
    install_npm_packages()
    #: endif
    install_git_hooks()


@contextlib.contextmanager
def step(title):
    """Print the title of a step, and its duration when it ends."""
    print(f"{title:<40}", end="", flush=True)
    start = time.perf_counter()
    try:
        yield
    except BaseException:
        print("stopped", flush=True)
        raise
    print(f"{time.perf_counter() - start:6.1f} s", flush=True)


def is_usable_venv():
    """Tell whether .venv is complete, in its place, and has a new enough Python."""
    if not (VENV / "pyvenv.cfg").exists() or not base_python(VENV_PYTHON):
        return False
    # The scripts of a virtual environment contain the path where it was made.
    with contextlib.suppress(OSError, ValueError):
        script = (VENV_BIN / "activate").read_text(encoding="utf-8")
        path = re.search("^VIRTUAL_ENV=(.+)", script, re.MULTILINE)
        made_in = Path(shlex.split(path[1])[0]) if path else VENV
        return made_in.exists() and made_in.samefile(VENV)
    return True


def find_uv():
    """Return the path of a uv that works, or None."""
    here = Path(sys.executable).parent
    for uv in (
        *filter(None, [os.environ.get("UV")]),
        *find_programs("uv", [*PATH, here, here / "Scripts", VENV_BIN]),
    ):
        version = re.match(r"uv (\d+)\.(\d+)", output_of(uv, "--version"))
        if version and tuple(map(int, version.groups())) >= MINIMUM_UV:
            return uv
    return None


def find_python(uv):
    """Return the path of a Python that is new enough, or an empty value."""
    if sys.version_info >= MINIMUM_PYTHON:
        return getattr(sys, "_base_executable", None) or sys.executable
    # Look at pyenv's Pythons before its shims, which are slow and may fail.
    pyenvs = [Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()]
    pyenvs += [Path(folder).parent for folder in PATH if Path(folder).name == "shims"]
    names = [*(f"python{version}" for version in PYTHON_VERSIONS), "python3", "python"]
    for command in (
        *(
            [path]
            for version in PYTHON_VERSIONS
            for pyenv in pyenvs
            for path in pyenv.glob(f"versions/{version}.*/bin/python")
        ),
        *([path] for name in names for path in find_programs(name, PATH)),
        ["py", "-3"],
    ):
        if python := base_python(*command):
            return python
    # uv comes last because it gives up at the first shim that fails.
    return uv and output_of(uv, "python", "find", "--system", "--no-project", ">=3.12")


def find_programs(name, folders):
    """Yield the path of the program in each folder that has it."""
    for folder in folders:
        if program := shutil.which(name, path=str(folder)):
            yield program


def base_python(*command):
    """Return the path of the Python that a command starts, if it is new enough."""
    code = (
        f"import sys; sys.version_info < {MINIMUM_PYTHON} and sys.exit(1);"
        "print(getattr(sys, '_base_executable', None) or sys.executable)"
    )
    return output_of(*command, "-I", "-S", "-X", "utf8", "-c", code)


def download_uv(folder):
    """Install uv in a folder with whichever pip there is; return the path of uv."""
    python = sys.executable
    if not output_of(python, "-m", "pip", "--version"):
        run(python, "-m", "venv", Path(folder, "pip"), error=NO_PIP)
        python = Path(folder, "pip", VENV_BIN.name, "python")
    run(
        *(python, "-m", "pip", "install", "--quiet", "--no-input", "--target", folder),
        *("--disable-pip-version-check", "--retries", "1", "--timeout", "15", "uv"),
        error="pip could not install uv, for the reason above.",
    )
    return next(find_programs("uv", [Path(folder, "bin"), Path(folder, "Scripts")]))


def check_workspace(uv):
    """Raise an error if uv would use the environment of a workspace in a parent folder."""
    workspace = output_of(uv, "workspace", "dir")
    if workspace and not ROOT.samefile(workspace):
        name = ROOT.relative_to(Path(workspace).resolve()).as_posix()
        raise SetupError(IN_WORKSPACE.format(workspace, name))


def make_venv(uv, *python, error):
    run(uv, "venv", VENV, "--python", *python, error=error)


def install_packages(uv):
    """Install in .venv what uv.lock says; uv makes a missing uv.lock."""
    # uv takes a package for installed as soon as its metadata is there.
    repair = ["--reinstall"] if UNFINISHED.exists() else []
    UNFINISHED.touch()
    run(
        # --inexact keeps packages that you installed in .venv yourself.
        *(uv, "sync", "--inexact", *repair, "--python", VENV_PYTHON),
        error="uv could not install the packages, for the reason above.",
    )
    UNFINISHED.unlink(missing_ok=True)


def write_env():
    """Copy .env.example to .env with a new key, readable by its owner only."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    key = f"SECRET_KEY={secrets.token_urlsafe(50)}"
    text = re.sub("^SECRET_KEY=.*$", key, text, flags=re.MULTILINE)
    env = ROOT / ".env"
    env.touch(mode=0o600, exist_ok=False)
    try:
        env.write_text(text, encoding="utf-8")
    except BaseException:
        # The next run would keep an incomplete file.
        env.unlink()
        raise


def migrate():
    """Migrate the database that .env names, whatever the shell exports.

    The shell may have a DATABASE_URL of another project.
    """
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    names = re.findall("^(?:# )?([A-Z][A-Z0-9_]*)=", example, re.MULTILINE)
    exported = [name for name in dict.fromkeys(names) if name in ENVIRONMENT]
    if exported:
        print(f"Using .env alone to migrate, not this shell's {', '.join(exported)}.")
    with step("Migrating the database"):
        run(
            *(VENV_PYTHON, "manage.py", "migrate", "--no-input"),
            error="The database could not be migrated, for the reason above.",
            env={k: v for k, v in ENVIRONMENT.items() if k not in exported},
        )


#: if cookiecutter.frontend == "vite"
def install_npm_packages():
    """Install in node_modules what package.json says, if Node.js is new enough."""
    version = re.match(r"v(\d+)\.(\d+)", output_of("node", "--version"))
    npm = shutil.which("npm")
    if not npm or not version or tuple(map(int, version.groups())) < MINIMUM_NODE:
        print(NO_NODE, flush=True)
    elif (ROOT / "package.json").exists():
        with step("Installing Vite in node_modules"):
            run(
                npm,
                "install",
                error="npm could not install Vite, for the reason above.",
            )


#: endif
def install_git_hooks():
    """Install the hooks of .pre-commit-config.yaml, if git and pre-commit are there."""
    if (ROOT / ".git").exists() and (ROOT / ".pre-commit-config.yaml").exists():
        output_of(VENV_BIN / "pre-commit", "install")


def run(*command, error, env=ENVIRONMENT, stderr=subprocess.STDOUT):
    """Return what a command prints. If it fails, raise SetupError with the sentence."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode:
        known = (s for p, s in KNOWN_ERRORS.items() if re.search(p, done.stdout))
        raise SetupError(next(known, error), done.stdout)
    return done.stdout.strip()


def last_lines(output):
    """Return the last lines that a failed command printed, without tracebacks.

    What is left of a traceback is the exception. Repeated warnings are given once.
    """
    if "Traceback (most recent call last):" in output:
        noise = r"^(Traceback|The above exception|During handling| ).*|^[0-9:]{8} "
        output = re.sub(noise, "", output, flags=re.MULTILINE)
    return list(dict.fromkeys(filter(None, output.splitlines())))[-8:]


def output_of(*command):
    """Return what a command prints, or "" if it fails or does not exist."""
    with contextlib.suppress(SetupError, OSError):
        return run(*command, error="", stderr=subprocess.DEVNULL)
    return ""


def python_command():
    """Return the command that starts Python 3.10 or newer in the user's shell."""
    # uvx puts its own environment on PATH, which the user's shell does not have.
    own = Path(sys.executable).parent if sys.prefix != sys.base_prefix else None
    path = os.pathsep.join(folder for folder in PATH if Path(folder) != own)
    code = "import sys; print(sys.version_info >= (3, 10))"
    for name in ("python", "py") if WINDOWS else ("python", "python3"):
        program = shutil.which(name, path=path)
        if program and output_of(program, "-c", code) == "True":
            return name
    program = quoted(VENV_PYTHON if VENV_PYTHON.exists() else sys.executable)
    # Without &, PowerShell prints a quoted path instead of running the program.
    return f"& {program}" if program.startswith('"') else program


def quoted(path):
    """Return a path as it is typed in this system's shells."""
    if not WINDOWS:
        return shlex.quote(str(path))
    return f'"{path}"' if " " in str(path) else str(path)


def path_from(folder, path):
    """Return a path relative to the folder if it is inside, else as it is."""
    return path.relative_to(folder) if folder in path.parents else path


if __name__ == "__main__":
    # A console or a pipe may not support every character of a path.
    sys.stdout.reconfigure(errors="replace")
    status = main()
    script = ROOT / "scripts" / ("bootstrap.py" if status else "dev.py")
    print("Run it again:" if status else "Ready. Start the site:", end=" ")
    print(python_command(), quoted(path_from(Path.cwd().resolve(), script)))
    sys.exit(status)

"""A generated project: its Python, its commands, copies of it."""

import os
import shutil
import subprocess


def python_of(project):
    """Return the path of the interpreter in a project's environment."""
    folder = "Scripts" if os.name == "nt" else "bin"
    return project / ".venv" / folder / ("python.exe" if os.name == "nt" else "python")


def run(project, *command, env=None):
    """Run Python in a project's environment; return its exit status and its output."""
    result = subprocess.run(
        [python_of(project), *command],
        cwd=project,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    return result.returncode, result.stdout


def run_shell(project, code, env=None):
    """Run code in a project's `manage.py shell`; return its output. Fail if it fails."""
    command = ("manage.py", "shell", "--no-imports", "--command", code)
    status, output = run(project, *command, env=env)
    assert status == 0, output
    return output


def uvicorn(project, port):
    """Return the command that serves a project with plain uvicorn."""
    application = f"{project.name}.asgi:application"
    return [python_of(project), "-m", "uvicorn", application, "--port", str(port)]


def copy_project(project, folder):
    """Copy a project into `folder` and return its path. The copy shares its .venv."""
    copy = folder / project.name
    # A server that uses the database creates and removes the files beside it.
    ignored = shutil.ignore_patterns(".venv", "db.sqlite3-*")
    shutil.copytree(project, copy, symlinks=True, ignore=ignored)
    (copy / ".venv").symlink_to(project / ".venv", target_is_directory=True)
    return copy

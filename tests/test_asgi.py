"""The generated project's ASGI handler, held against Django's own."""

import os
import subprocess
from pathlib import Path

import pytest
from support.project import python_of

IN_PROJECT = Path(__file__).parent / "in_project"


def test_the_handler_keeps_the_promises_of_django(project):
    """Run in_project/asgi_lane.py with the project's own environment."""
    done = subprocess.run(
        [
            python_of(project),
            *("-m", "pytest", "-q", "-p", "no:cacheprovider"),
            f"--rootdir={project}",
            f"--confcutdir={IN_PROJECT}",
            f"--config-file={project / 'pyproject.toml'}",
            IN_PROJECT / "asgi_lane.py",
        ],
        cwd=project,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)

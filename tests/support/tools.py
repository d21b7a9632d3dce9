"""Programs that some tests need. Where one is missing, the test is skipped."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

# Set by .ci/run, which installs all of them: there, a missing program is a failure.
REQUIRE_TOOLS = "REQUIRE_TOOLS" in os.environ
NODE_MODULES = Path(__file__).resolve().parent.parent / "node_modules"


def need(found, name):
    """Return `found` if it is true. Otherwise skip the test, or fail it (see above)."""
    if not found:
        if REQUIRE_TOOLS:
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return found


def find_program(name, *folders):
    """Return the path of a program that is in one of `folders` or on PATH."""
    path = os.pathsep.join([*map(str, folders), os.environ["PATH"]])
    return need(shutil.which(name, path=path), name)


def find_npm_file(path):
    """Return the path of a file of the packages that tests/package.json lists."""
    file = NODE_MODULES / path
    return need(file.exists() and file, f"the npm package of {path}")


def check(*command, **options):
    """Run a program; return its output. Fail if its exit status is not 0."""
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout

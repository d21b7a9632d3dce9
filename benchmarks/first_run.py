"""Measure the first run: the template against the same steps typed by hand.

    python benchmarks/first_run.py [rounds]

Needs cookiecutter and uv. The two take turns, with uv's cache warm, and each
round creates a new project. "By hand" means only these commands:
`uv venv`, `uv sync` and `manage.py migrate` in files that are there already.
Wall seconds and peak memory (the largest single process) come from wait4(2), so
this runs on Linux and macOS.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parent.parent
# What a project's .env would say; any key will do for migrating.
HAND_ENV = {"DEBUG": "true", "SECRET_KEY": "only-to-measure-" * 4}
COOKIECUTTER = [sys.executable, "-m", "cookiecutter", "--no-input", str(TEMPLATE)]


def measure(commands, cwd, env):
    """Run commands one after the other; return seconds and peak memory in MiB."""
    peak = 0
    start = time.perf_counter()
    for command in commands:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **env},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"It failed, so there is nothing to measure: {command}")
        peak = max(peak, usage.ru_maxrss)
    seconds = time.perf_counter() - start
    # Linux counts in KiB, macOS in bytes.
    return seconds, peak / (1024 if sys.platform.startswith("linux") else 1024**2)


def by_template(folder):
    return measure([[*COOKIECUTTER, "-o", str(folder)]], folder, {})


def by_hand(folder, interpreter):
    subprocess.run(
        [*COOKIECUTTER, "-o", str(folder)],
        env={**os.environ, "DJANGO_STARTER_SKIP_BOOTSTRAP": "1"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    (project,) = folder.iterdir()
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    commands = [
        [uv, "venv", "--python", interpreter],
        [uv, "sync", "--python", interpreter],
        [".venv/bin/python", "manage.py", "migrate"],
    ]
    return measure(commands, project, HAND_ENV)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    # Where it is set, nothing would write the bytecode that a first run leaves behind.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    figures = {"the template": [], "by hand": []}
    # The first round warms the caches, and is not counted.
    for number in range(rounds + 1):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
            made = by_template(Path(one))
            (python,) = Path(one).glob("*/.venv/bin/python")
            typed = by_hand(Path(two), str(python.resolve()))
        if number:
            figures["the template"].append(made)
            figures["by hand"].append(typed)

    print("| | seconds: min, median, max | peak memory |\n| --- | --- | --- |")
    for name, rows in figures.items():
        seconds, memory = zip(*rows)
        low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
        print(
            f"| {name} | {low:.2f}, **{middle:.2f}**, {high:.2f} "
            f"| {statistics.median(memory):.0f} MiB |"
        )
    ratios = [m[0] / t[0] for m, t in zip(*figures.values())]
    print(f"\nMedian ratio, round by round: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()

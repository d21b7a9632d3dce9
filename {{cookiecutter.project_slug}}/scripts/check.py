"""
Check the project as continuous integration does: python scripts/check.py

    python scripts/check.py --fix           also fix what the tools can fix
    python scripts/check.py types tests     only these steps

All steps run, at the same time. The exit status is 1 if one of them fails, and the
output of those that failed is printed at the end.
"""

import argparse
import io
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# The variables of production, so that the file .env of this machine has no effect.
PRODUCTION = {
    "DEBUG": "false",
    "SECRET_KEY": secrets.token_urlsafe(50),
    "ALLOWED_HOSTS": "example.com",
    "CSRF_TRUSTED_ORIGINS": "https://example.com",
    "DATABASE_URL": "sqlite:///db.sqlite3",
    "CACHE_URL": "",
    "EMAIL_URL": "smtp://localhost",
    "STORAGE_URL": "",
    "SENTRY_DSN": "",
    "LIVE_RELOAD": "false",
}

OFFLINE = re.compile("error sending request|operation timed out", re.IGNORECASE)


@dataclass
class Step:
    """
    Commands that must succeed, in this order.

    `fix` is a command that fixes errors, `env` adds variables. If `timeout`, in seconds,
    is exceeded, or if the network is down, a step with a timeout is skipped.
    """

    commands: list[str]
    fix: str = ""
    env: dict[str, str] = field(default_factory=dict)
    timeout: float | None = None


STEPS = {
    # Before the format, since its fixes may have to be formatted.
    "lint": Step(["ruff check"], fix="ruff check --fix --quiet"),
    "format": Step(["ruff format --check"], fix="ruff format"),
    "templates": Step(["djade --check {templates}"], fix="djade {templates}"),
    "types": Step(["mypy ."]),
    "tests": Step(["coverage run -m pytest --quiet", "coverage report"]),
    "migrations": Step(["python manage.py makemigrations --check"]),
    # A dry run of collectstatic would not look for references to missing files.
    "deploy": Step(
        [
            #: if cookiecutter.frontend == "vite"
            "npm run build",
            #: endif
            "python manage.py collectstatic --no-input",
            "python manage.py check --deploy --fail-level WARNING",
        ],
        env=PRODUCTION,
    ),
    "audit": Step(
        ["uv --preview-features audit-command audit --frozen"],
        env={"UV_HTTP_RETRIES": "0"},
        timeout=60,
    ),
}


@dataclass
class Result:
    """How a step ended: "ok", "FAILED" or "skipped: ...", with its output, in seconds."""

    state: str
    output: str
    duration: float


def main() -> int:
    """Run the steps of the command line, and return the exit status."""
    parser = argparse.ArgumentParser(description="Check the project.")
    parser.add_argument("steps", nargs="*", metavar="step", help=", ".join(STEPS))
    parser.add_argument("--fix", action="store_true", help="fix what tools can fix")
    options = parser.parse_args()
    if unknown := set(options.steps) - set(STEPS):
        parser.error(f"unknown step {min(unknown)!r}; the steps are {', '.join(STEPS)}")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A Windows console may not support every character.
        sys.stdout.reconfigure(errors="replace")
    steps = {name: STEPS[name] for name in STEPS if name in (options.steps or STEPS)}

    if options.fix:
        for step in steps.values():
            if step.fix:
                run(step.fix, step)
    failed = {}
    with ThreadPoolExecutor(len(steps)) as pool:
        results = pool.map(check, steps.values())
        for name, result in zip(steps, results, strict=True):
            print(f"{name:<12}{result.state:<20}{result.duration:5.1f} s", flush=True)
            if result.state == "FAILED":
                failed[name] = result.output
    for name, output in failed.items():
        print(f"\n{name} failed:\n\n{output.strip()}")
    return 1 if failed else 0


def check(step: Step) -> Result:
    """Run the commands of a step until one fails."""
    start = time.monotonic()
    state, output = "ok", ""
    for command in step.commands:
        try:
            result = run(command, step)
        except subprocess.TimeoutExpired:
            state = "skipped: offline"
            break
        output = result.stdout
        if result.returncode:
            offline = step.timeout and OFFLINE.search(output)
            state = "skipped: offline" if offline else "FAILED"
            output = f"$ {command}\n{output}"
            break
    return Result(state, output, time.monotonic() - start)


def run(command: str, step: Step) -> subprocess.CompletedProcess[str]:
    """Run a command of a step with the programs of the environment."""
    name, *words = command.split()
    program = shutil.which(name, path=Path(sys.executable).parent)
    #: if cookiecutter.frontend == "vite"
    if name == "npm":
        program = shutil.which(name)
    #: endif
    if not program:
        error = f"{name} is not installed: run `python scripts/bootstrap.py`."
        return subprocess.CompletedProcess(command, 1, error)
    return subprocess.run(
        [program, *(part for word in words for part in expand(word))],
        cwd=ROOT,
        env={**os.environ, "PYTHONUTF8": "1", **step.env},
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=step.timeout,
    )


def expand(word: str) -> list[str]:
    """Return the paths of all templates for "{templates}", else the word itself."""
    if word != "{templates}":
        return [word]
    folders = [ROOT / "templates", *ROOT.glob("*/templates")]
    return [str(path) for folder in folders for path in sorted(folder.rglob("*.html"))]


if __name__ == "__main__":
    from activate import use_venv

    use_venv()
    sys.exit(main())

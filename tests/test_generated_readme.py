"""The README of a project: its blocks are run as written, from top to bottom."""

import contextlib
import os
import pty
import re
import shutil
import subprocess
from dataclasses import dataclass

import pytest
from support.markdown import apply_diff, blocks
from support.project import run
from support.server import TIMEOUT, fetch, free_port
from support.site import PRODUCTION, assert_home_and_admin_are_styled
from support.template import CHOICES
from support.tools import REQUIRE_TOOLS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="runs commands in bash"),
]

SERVER = re.compile(r"scripts/(dev|serve)\.py|^uvicorn |runserver")


# Prints what a websocket sends back, or the status if it is refused.
WEBSOCKET_CLIENT = """
import sys

from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

url, origin = sys.argv[1:]
try:
    with connect(url, origin=origin, proxy=None) as socket:
        socket.send("Hello")
        print(socket.recv())
except InvalidStatus as error:
    print(error.response.status_code)
"""


def run_in_terminal(command, answers, **kwargs):
    """Run a command that needs a terminal, and answer its questions."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["bash", "-c", command], stdin=theirs, stdout=theirs, stderr=theirs, **kwargs
    )
    os.close(theirs)
    shown = ""
    with contextlib.suppress(OSError):  # On Linux: the other end was closed.
        while chunk := os.read(ours, 1024).decode():
            shown += chunk
            if answers and re.search(r": $", shown):
                os.write(ours, answers.pop(0).encode() + b"\n")
    os.close(ours)
    assert process.wait(TIMEOUT) == 0, shown


@dataclass
class Reader:
    """A reader who runs the commands of a page in one terminal."""

    project: object
    serve: object
    active: bool = False

    def command(self, line):
        if not self.active and not shutil.which("python"):
            line = re.sub(r"^python ", "python3 ", line)
        return f"source .venv/bin/activate && {line}" if self.active else line

    def run(self, line, env):
        """Run a command that must succeed."""
        if line.startswith("source "):
            self.active = True
        result = subprocess.run(
            ["bash", "-c", self.command(line)],
            cwd=self.project,
            env={**os.environ, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=240,
            check=False,
        )
        assert result.returncode == 0, f"$ {line}\n{result.stdout}"

    def run_server(self, line, env):
        """
        Run a command that starts a server, fetch pages and stop it; return its output.

        Only the port differs from the page, since another test may use it.
        """
        port = free_port()
        if line.endswith("dev.py"):
            line = f"{line} --port {port}"
        line = re.sub(r"runserver \d+", f"runserver {port}", line)
        server = self.serve(
            ["bash", "-c", self.command(f"exec {line}")],
            cwd=self.project,
            env={**env, "PORT": str(port), "UVICORN_PORT": str(port)},
            url=f"http://127.0.0.1:{port}/livez",
        )
        address = f"http://127.0.0.1:{port}"
        if env:
            assert fetch(f"{address}/livez")[2] == "ok"
        else:
            assert_home_and_admin_are_styled(address)
        if (self.project / "templates" / "notes").exists() and not env:
            assert "None yet." in fetch(f"{address}/notes/")[2]
        output = server.output
        server.stop()
        return output.replace(str(port), "8000")

    def check_websocket(self, script, path):
        """Connect to a websocket from a page of the site, and from another page."""
        env = PRODUCTION if script == "serve.py" else {}
        port = free_port()
        option = "" if env else f" --port {port}"
        server = self.serve(
            ["bash", "-c", self.command(f"exec python scripts/{script}{option}")],
            cwd=self.project,
            env={**env, "PORT": str(port)},
            url=f"http://127.0.0.1:{port}/livez",
        )
        url = f"ws://127.0.0.1:{port}{path}"
        for origin, expected in (
            (f"http://localhost:{port}", "Hello"),
            ("https://localhost", "Hello"),
            ("https://evil.example", "403"),
        ):
            status, output = run(self.project, "-c", WEBSOCKET_CLIENT, url, origin)
            assert (status, output.strip()) == (0, expected), server.output
        server.stop()

    def run_while_served(self, script):
        """Run commands that must succeed while the site is served; return the output."""
        port = free_port()
        application = f"{self.project.name}.asgi:application"
        server = self.serve(
            ["bash", "-c", self.command(f"exec uvicorn {application} --port {port}")],
            cwd=self.project,
            url=f"http://127.0.0.1:{port}/livez",
        )
        script = script.replace("localhost:8000", f"localhost:{port}")
        result = subprocess.run(
            ["bash", "-e", "-c", f"source .venv/bin/activate\n{script}"],
            cwd=self.project,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=False,
        )
        server.stop()
        assert result.returncode == 0, f"{script}\n{result.stdout}\n{server.output}"
        return result.stdout

    def run_worker(self, line):
        """Run a worker until it has completed the task that was enqueued."""
        worker = self.serve(
            ["bash", "-c", self.command(f"exec {line}")], cwd=self.project
        )
        worker.wait_for_output("path=notes.tasks.tidy_up state=SUCCESSFUL")
        worker.stop()


# The section of an API, those that it needs, and those that depend on it.
API_SECTIONS = (
    "What is where",
    "Activate the environment",
    "Enter the admin",
    "Build something",
    "Build an API",
    "Test it",
)

# In test_packages.py and test_updates.py.
TESTED_ELSEWHERE = ("Keep the packages safe", "Update it from its template")


@pytest.mark.parametrize("api", CHOICES["api"])
def test_every_block_works_as_written(bake, serve, use_mypy_cache, tmp_path, api):
    use_mypy_cache(api)
    project = tmp_path / "walk"
    shutil.copytree(
        bake(project_slug="walk", api=api),
        project,
        ignore=shutil.ignore_patterns(".git"),
    )
    reader = Reader(project, serve)
    readme = blocks((project / "README.md").read_text("utf-8"))
    # The README begins with a project that bootstrap.py has set up.
    reader.run("python scripts/bootstrap.py", {})
    if api != CHOICES["api"][0]:
        # The other sections are those of the default project.
        readme = [block for block in readme if block.section in API_SECTIONS]
    shown = script = ""

    for block in readme:
        if block.section in TESTED_ELSEWHERE:
            continue
        env = PRODUCTION if block.section == "Put it on the internet" else {}
        if block.section == "Build an API" and block.language == "sh":
            # Variables of a block are used in the next.
            script += block.text
            shown = reader.run_while_served(script)
            assert '"email"' in shown
            assert '"first_name"' in shown
            assert ("notes" in script) == ('"count"' in shown)
        elif block.language == "sh":
            for line in block.text.splitlines():
                if SERVER.search(line):
                    shown = reader.run_server(line, env)
                elif line.startswith("python manage.py ox_worker"):
                    reader.run_worker(line)
                elif "messages" in line and not shutil.which("xgettext"):
                    assert not REQUIRE_TOOLS, "xgettext is not installed"
                elif "createsuperuser" in line:
                    run_in_terminal(
                        reader.command(line),
                        ["ada@example.com", *["correct horse battery"] * 2],
                        cwd=project,
                    )
                elif "check.py" in line and api != CHOICES["api"][0]:
                    # The tests of such projects run in test_choices.py.
                    reader.run(f"{line} lint format templates types", env)
                else:
                    reader.run(line, env)
        elif block.language == "diff":
            path = project / block.file
            path.write_text(apply_diff(path.read_text("utf-8"), block.text), "utf-8")
        elif block.language in {"python", "html"}:
            path = project / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, "utf-8")
        elif block.language == "js":
            path = re.search(r'WebSocket\("(.+?)"\)', block.text)[1]
            reader.run("python manage.py collectstatic --no-input", PRODUCTION)
            for script in ("dev.py", "serve.py"):
                reader.check_websocket(script, path)
            # The code of the page passes the checks of the project, too.
            reader.run("python scripts/check.py lint format types", {})
        elif block.section == "Start the site":
            for line in block.text.splitlines():
                assert line.strip() in shown
        elif block.section == "What is where":
            for indent, name in re.findall(r"^( *)(\S+)", block.text, re.MULTILINE):
                assert (project / (project.name if indent else "") / name).exists()
        else:
            assert block.language == "powershell", f"{block.language} is not tested"

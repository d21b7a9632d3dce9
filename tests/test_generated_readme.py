"""The generated README, done word for word by somebody who has just arrived."""

import contextlib
import os
import pty
import re
import shutil
import subprocess
from dataclasses import dataclass

import pytest
from helpers import PATIENCE, fetch, free_port
from test_project import PRODUCTION, assert_home_and_admin_are_styled

pytestmark = pytest.mark.skipif(os.name == "nt", reason="types what POSIX shells take")

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`([\w./]+\.\w+)`")
SERVER = re.compile(r"scripts/(dev|serve)\.py|^uvicorn |runserver")


@dataclass
class Block:
    """A fenced block of a page: its language, its text, and what it is about."""

    language: str
    text: str
    section: str
    file: str | None


def blocks(page):
    """Return the fenced blocks of a page in order.

    A block's file is the one that the text above it named last.
    """
    found = []
    for match in BLOCK.finditer(page):
        before = BLOCK.sub("", page[: match.start()])
        section = re.findall(r"^## (.+)$", before, re.MULTILINE)
        files = FILE.findall(before.rsplit("\n#", 1)[-1])
        found.append(
            Block(
                match[1],
                match[2],
                section[-1] if section else "",
                files[-1] if files else None,
            )
        )
    return found


def apply_diff(text, diff):
    """Return `text` with the diff's plus lines put in, by their surroundings."""
    lines = diff.splitlines()
    old = "".join(line[1:] + "\n" for line in lines if not line.startswith("+"))
    new = "".join(line[1:] + "\n" for line in lines if not line.startswith("-"))
    assert text.count(old) == 1, f"Not found once as the README shows it:\n{old}"
    return text.replace(old, new)


def type_at_terminal(command, answers, **kwargs):
    """Run a command that insists on a terminal; return what it showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["bash", "-c", command], stdin=theirs, stdout=theirs, stderr=theirs, **kwargs
    )
    os.close(theirs)
    shown = ""
    with contextlib.suppress(OSError):  # How Linux says that the other end closed.
        while chunk := os.read(ours, 1024).decode():
            shown += chunk
            if answers and re.search(r": $", shown):
                os.write(ours, answers.pop(0).encode() + b"\n")
    os.close(ours)
    assert process.wait(PATIENCE) == 0, shown
    return shown


@dataclass
class Newcomer:
    """Somebody who types what the page says, in one terminal from top to bottom."""

    project: object
    serve: object
    active: bool = False

    def command(self, line):
        if not self.active and not shutil.which("python"):
            line = re.sub(r"^python ", "python3 ", line)
        return f"source .venv/bin/activate && {line}" if self.active else line

    def type(self, line, env):
        """Run a command that ends, and see that it ends well."""
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

    def type_server(self, line, env):
        """Run a command that serves, look at the site, and stop it.

        As written but for the port, which another test may hold.
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
            assert fetch(f"{address}/livez", {"Host": "example.com"})[2] == "ok"
        else:
            assert_home_and_admin_are_styled(address)
        if (self.project / "templates" / "notes").exists() and not env:
            assert "None yet." in fetch(f"{address}/notes/")[2]
        output = server.output
        server.stop()
        return output.replace(str(port), "8000")

    def type_worker(self, line):
        """Run a worker, see that it does the task that was queued, and stop it."""
        worker = self.serve(
            ["bash", "-c", self.command(f"exec {line}")], cwd=self.project
        )
        worker.wait_for_output("path=notes.tasks.tidy_up state=SUCCESSFUL")
        worker.stop()


def test_every_block_of_the_generated_readme_works_as_written(bake, serve, tmp_path):
    project = tmp_path / "walk"
    shutil.copytree(
        bake(project_slug="walk"), project, ignore=shutil.ignore_patterns(".git")
    )
    newcomer = Newcomer(project, serve)
    readme = blocks((project / "README.md").read_text("utf-8"))
    # The page starts a made project; a fresh clone needs its third command first.
    newcomer.type("python scripts/bootstrap.py", {})
    shown = ""

    for block in readme:
        env = PRODUCTION if block.section == "Put it on the internet" else {}
        if block.language == "sh":
            for line in block.text.splitlines():
                if SERVER.search(line):
                    shown = newcomer.type_server(line, env)
                elif line == "python manage.py worker":
                    newcomer.type_worker(line)
                elif "messages" in line and not shutil.which("xgettext"):
                    assert not os.environ.get("REQUIRE_SERVICES"), "No gettext here."
                elif "createsuperuser" in line:
                    type_at_terminal(
                        newcomer.command(line),
                        ["ada@example.com", *["correct horse battery"] * 2],
                        cwd=project,
                    )
                else:
                    newcomer.type(line, env)
        elif block.language == "diff":
            path = project / block.file
            path.write_text(apply_diff(path.read_text("utf-8"), block.text), "utf-8")
        elif block.language in {"python", "html"}:
            path = project / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, "utf-8")
        elif block.section == "Start it":
            for line in block.text.splitlines():
                assert line.strip() in shown
        elif block.section == "What is where":
            for indent, name in re.findall(r"^( *)(\S+)", block.text, re.MULTILINE):
                assert (project / (project.name if indent else "") / name).exists()
        else:
            assert block.language == "powershell", f"{block.language} is never checked"

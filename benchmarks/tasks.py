"""Measure the task queue of a generated project on PostgreSQL.

    python benchmarks/tasks.py [--quick] postgres://user:password@host:port/name

Needs Linux, cookiecutter, aiosmtpd, and an empty database, which is left with the
project's tables. One project is made, with production settings. A single process
enqueues the tasks, one transaction each. Four worker processes then run them; the time
is taken from the start of the first task to the end of the last, as the queue records
them. E-mails go to a mail server of this script, which takes 100 ms to accept each.
A figure is the median of the rounds.
"""

import argparse
import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from aiosmtpd.controller import Controller

BENCHMARKS = Path(__file__).resolve().parent
PYTHON = ".venv/bin/python"
PROCESSES = 4
TASKS = {
    "empty task": "from bench.tasks import nothing; add = nothing.enqueue",
    "e-mail": """
from functools import partial
from django.core.mail import send_mail
add = partial(send_mail, "Hello", "Hello " * 200, None, ["ada@example.com"])
""",
}
ENQUEUE = """
import time
from django_ox.models import OxTask
OxTask.objects.all().delete()
{task}
start = time.perf_counter()
for _ in range({count}):
    add()
print({count} / (time.perf_counter() - start))
"""
# Retries would distort the figures.
FINISH = """
import sys, time
from django.db.models import Max, Min
from django_ox.models import OxTask
while OxTask.objects.exclude(status="SUCCESSFUL").exists():
    if OxTask.objects.filter(status="READY", attempts__gt=0).exists():
        sys.exit("A task failed.")
    time.sleep(0.5)
times = OxTask.objects.aggregate(first=Min("started_at"), last=Max("finished_at"))
print({count} / (times["last"] - times["first"]).total_seconds())
"""


class MailServer:
    """Accepts every message, after 100 ms."""

    async def handle_DATA(self, server, session, envelope):
        await asyncio.sleep(0.1)
        return "250 OK"


class Project:
    """A generated project in `folder`, with the database and the mail server to use."""

    def __init__(self, folder, database_url, mail_port):
        self.env = {
            **os.environ,
            "DEBUG": "false",
            "SECRET_KEY": secrets.token_urlsafe(50),
            "ALLOWED_HOSTS": "127.0.0.1",
            "CSRF_TRUSTED_ORIGINS": "https://127.0.0.1",
            "DATABASE_URL": database_url,
            "EMAIL_URL": f"smtp://127.0.0.1:{mail_port}",
        }
        template = str(BENCHMARKS.parent)
        self.path = folder
        self.run(sys.executable, "-m", "cookiecutter", "--no-input", template)
        self.path = folder / "my_site"
        shutil.copytree(BENCHMARKS / "site", self.path, dirs_exist_ok=True)
        self.run(PYTHON, "manage.py", "migrate")

    def run(self, *command):
        """Return the output of a command; exit if it fails."""
        done = subprocess.run(
            command, cwd=self.path, env=self.env, capture_output=True, encoding="utf-8"
        )
        if done.returncode:
            sys.exit(f"{done.stdout}{done.stderr}\nThis failed: {command}")
        return done.stdout

    def shell(self, code):
        """Return the number that `code` prints in the project's shell."""
        return float(self.run(PYTHON, "manage.py", "shell", "-v", "0", "-c", code))

    @contextlib.contextmanager
    def workers(self, concurrency):
        """Run the workers; yield a function that returns the MiB of each."""
        options = f"--processes={PROCESSES} --concurrency={concurrency}"
        supervisor = subprocess.Popen(
            [PYTHON, "manage.py", "ox_worker", *options.split()],
            cwd=self.path,
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield lambda: memory_of_children(supervisor.pid)
        finally:
            supervisor.terminate()
            supervisor.wait()

    def measure(self, task, concurrency, count):
        """Return the tasks enqueued per second, run per second, and MiB of a worker."""
        enqueued = self.shell(ENQUEUE.format(task=TASKS[task], count=count))
        with self.workers(concurrency) as memory:
            done = self.shell(FINISH.format(count=count))
            return enqueued, done, memory()


def memory_of_children(pid):
    """Return the average MiB of a process's children; a page shared by n counts 1/n."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    kib = 0
    for child in children:
        summary = Path(f"/proc/{child}/smaps_rollup").read_text()
        kib += int(summary.partition("\nPss:")[2].split()[0])
    return kib / 1024 / len(children)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("database_url")
    parser.add_argument("--quick", action="store_true", help="one round, not three")
    options = parser.parse_args()
    rounds = 1 if options.quick else 3
    mail_server = Controller(MailServer(), hostname="127.0.0.1", port=free_port())
    mail_server.start()
    print(f"| {PROCESSES} processes | enqueued/s | run/s | run/h | MiB of a worker |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder), options.database_url, mail_server.port)
        for task, count in (("empty task", 1000), ("e-mail", 300)):
            for concurrency in (1, 4):
                figures = [
                    project.measure(task, concurrency, count) for _ in range(rounds)
                ]
                enqueued, done, memory = map(median, zip(*figures))
                print(
                    f"| {task}, --concurrency={concurrency} | {enqueued:,.0f} "
                    f"| **{done:,.0f}** | {done * 3600:,.0f} | {memory:.0f} |",
                    flush=True,
                )
    mail_server.stop()


if __name__ == "__main__":
    main()

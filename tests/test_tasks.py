"""Tasks, run by worker processes, with the queue in SQLite and in PostgreSQL."""

import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.project import python_of, run, run_shell
from support.server import free_port, wait_until
from support.site import PRODUCTION, mail_server
from support.template import IN_PROJECT

pytestmark = pytest.mark.slow

# As in production, with shorter delays.
SETTINGS = """
from {slug}.settings import *

TASKS["default"]["OPTIONS"] |= {{"BACKOFF_INITIAL": 1, "LOCK_TIMEOUT": 2}}
"""


@dataclass
class Queue:
    """A project with tasks that write a log, and the queue for them."""

    project: Path
    env: dict
    serve: object

    def run(self, code):
        return run_shell(self.project, code, self.env)

    def enqueue(self, task, *args):
        self.run(f"import chores; chores.{task}.enqueue(*{args!r})")

    def start_worker(self, *options):
        return self.serve(
            [python_of(self.project), "manage.py", "ox_worker", *options],
            cwd=self.project,
            env=self.env,
        )

    @property
    def log(self):
        """Return what the tasks logged: "begin" or "end", a name, the worker's PID."""
        file = self.project / "chores.log"
        text = file.read_text("utf-8") if file.exists() else ""
        return [tuple(line.split()) for line in text.splitlines()]

    def wait_for(self, event, name, worker):
        wait_until(
            lambda: (event, name, str(worker.process.pid)) in self.log,
            lambda: f"No {event} of {name} in {self.log}:\n{worker.output}",
        )


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)]
)
def queue(request, workspace, serve):
    shutil.copy(IN_PROJECT / "chores.py", workspace)
    settings = SETTINGS.format(slug=workspace.name)
    (workspace / "test_settings.py").write_text(settings, "utf-8")
    env = {"DJANGO_SETTINGS_MODULE": "test_settings"}
    if request.param == "postgresql":
        env["DATABASE_URL"] = request.getfixturevalue("postgresql").new_database()
        status, output = run(workspace, "manage.py", "migrate", env=env)
        assert status == 0, output
    return Queue(workspace, env, serve)


def test_worker_finishes_its_task_on_sigterm(queue):
    queue.enqueue("wait_for", "bell", "dinner")
    worker = queue.start_worker()
    queue.wait_for("begin", "dinner", worker)

    worker.process.send_signal(signal.SIGTERM)
    queue.enqueue("wait_for", "bell", "dessert")
    (queue.project / "bell").touch()

    assert worker.wait() == 0, worker.output
    pid = str(worker.process.pid)
    assert queue.log == [("begin", "dinner", pid), ("end", "dinner", pid)]
    other = queue.start_worker()
    queue.wait_for("end", "dessert", other)


def test_task_of_a_killed_worker_is_run_by_another(queue):
    queue.enqueue("wait_for", "bell", "dinner")
    worker = queue.start_worker()
    queue.wait_for("begin", "dinner", worker)

    worker.process.kill()
    worker.wait()
    (queue.project / "bell").touch()
    other = queue.start_worker()

    queue.wait_for("end", "dinner", other)
    assert ("end", "dinner", str(worker.process.pid)) not in queue.log


def test_workers_share_the_tasks_and_run_each_once(queue):
    names = [f"dish{number}" for number in range(9)]
    workers = [queue.start_worker(f"--heartbeat-file={n}") for n in range(2)]
    queue.run(f"""
from chores import wait_for_another_worker
for name in {names}: wait_for_another_worker.enqueue(name)
""")

    wait_until(lambda: len(queue.log) >= 2 * len(names), lambda: str(queue.log))
    assert sorted(name for event, name, _ in queue.log if event == "end") == names
    assert {pid for *_, pid in queue.log} == {str(w.process.pid) for w in workers}
    status, output = run(queue.project, "manage.py", "ox_health", "--heartbeat-file=1")
    assert status == 0, output


@pytest.mark.parametrize("queue", ["sqlite"], indirect=True)
def test_failed_task_is_retried_and_the_admin_shows_its_errors(queue):
    queue.enqueue("fail_twice", "souffle")

    worker = queue.start_worker()

    queue.wait_for("end", "souffle", worker)
    assert [line[0] for line in queue.log] == ["begin", "begin", "begin", "end"]
    pages = queue.run("""
import re
from django.test import Client
from accounts.models import User

client = Client(headers={"host": "localhost"})
client.force_login(User.objects.create_superuser("ada@example.com"))
tasks = client.get("/admin/django_ox/oxtask/").text
address = re.search(r'/admin/django_ox/oxtask/[0-9a-f-]{36}/change/', tasks)[0]
print(tasks, client.get(address, follow=True).text)
""")
    assert "chores.fail_twice" in pages
    assert pages.count("ValueError: Not yet.") == 2


@pytest.mark.parametrize("queue", ["sqlite"], indirect=True)
def test_mail_is_sent_when_the_mail_server_is_up_again(queue):
    port = free_port()
    queue.env |= {**PRODUCTION, "EMAIL_URL": f"smtp://127.0.0.1:{port}"}

    output = queue.run("""
from django.test import Client

secret = "correct horse battery"
person = {"email": "ada@example.com", "password1": secret, "password2": secret}
client = Client(headers={"host": "localhost"})
print(client.post("/accounts/signup/", person, secure=True).status_code)
""")
    assert output.split()[-1] == "302", output
    worker = queue.start_worker()
    worker.wait_for_output("ConnectionRefusedError")

    with mail_server(port) as (_, mail):
        wait_until(lambda: "verification code" in mail(), mail)

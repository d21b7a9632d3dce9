"""deploy/celery.md: the move to Celery, as written, with Redis and real workers."""

import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from filelock import FileLock
from support.markdown import blocks
from support.project import copy_project, python_of
from support.server import Server, free_port, wait_until
from support.site import PRODUCTION, mail_server
from support.template import IN_PROJECT
from support.tools import check

pytestmark = [
    pytest.mark.services,
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="runs commands in bash"),
]

# Delays of the page, in seconds, and shorter ones.
SHORTER = {
    '"visibility_timeout": 60 * 60': '"visibility_timeout": 3',
    "default_retry_delay=15": "default_retry_delay=1",
    "retry_backoff=15": "retry_backoff=1",
}

SIGN_UP = """
from django.test import Client

secret = "correct horse battery"
person = {"email": "ada@example.com", "password1": secret, "password2": secret}
client = Client(headers={"host": "localhost"})
print(client.post("/accounts/signup/", person, secure=True).status_code)
"""


@pytest.fixture(scope="session")
def page(bake):
    return blocks((bake() / "deploy" / "celery.md").read_text("utf-8"))


def command(page, text):
    """Return the only command of the page that contains `text`."""
    (found,) = [b.text for b in page if b.language == "sh" and text in b.text]
    return found.strip()


@pytest.fixture(scope="session")
def moved(bake, project, page, shared_folder):
    """Return a project with an environment of its own that was moved to Celery."""
    copy = shared_folder / "celery" / project.name
    with FileLock(shared_folder / "celery.lock"):
        if not copy.exists():
            ignored = shutil.ignore_patterns(".venv")
            shutil.copytree(bake(bootstrap=True), copy, ignore=ignored)
            celery, settings = [b.text for b in page if b.language == "python"]
            for delay, shorter in SHORTER.items():
                assert celery.count(delay) == 1, f"{delay} is not on the page once."
                celery = celery.replace(delay, shorter)
            (copy / "ops" / "celery.py").write_text(celery, "utf-8")
            with (copy / project.name / "settings.py").open("a", encoding="utf-8") as f:
                f.write(f"\n\n{settings}")
            shutil.copy(IN_PROJECT / "chores.py", copy)
            env = {**os.environ, "UV_PYTHON": python_of(project).resolve()}
            for line in ("uv sync", command(page, "uv add")):
                subprocess.run(["bash", "-ec", line], cwd=copy, env=env, check=True)
    return copy


@dataclass
class Site:
    """A project whose tasks are run by Celery workers."""

    project: Path
    page: list
    env: dict
    running: list = field(default_factory=list)

    def call(self, line):
        """Run a shell command that must succeed; return its output."""
        return check("bash", "-c", line, cwd=self.project, env=self.env)

    def shell(self, code):
        self.env["CODE"] = code
        return self.call('python manage.py shell -v 0 -c "$CODE"')

    def enqueue(self, task, *args):
        self.shell(f"import chores; chores.{task}.enqueue(*{args!r})")

    def start(self, text, ready):
        """Start the command of the page that contains `text`; wait for `ready`."""
        line = command(self.page, text).replace("/tmp/", f"{self.project}/")
        server = Server(["bash", "-c", f"exec {line}"], self.project, self.env)
        self.running.append(server)
        server.wait_for_output(ready)
        return server

    def start_worker(self):
        return self.start("celery worker --log", " ready.")

    @property
    def log(self):
        """Return what the tasks logged: "begin" or "end", and the process id."""
        file = self.project / "chores.log"
        text = file.read_text("utf-8") if file.exists() else ""
        return [(what, pid) for what, _, pid in map(str.split, text.splitlines())]

    def wait_for(self, what, worker):
        """Return the process in which a task began or ended."""
        return wait_until(
            lambda: [pid for event, pid in self.log if event == what],
            lambda: f"No {what} in {self.log}:\n{worker.output}",
        )[-1]


@pytest.fixture
def site(moved, page, redis, postgresql, tmp_path):
    copy = copy_project(moved, tmp_path)
    env = {
        **os.environ,
        **PRODUCTION,
        "PATH": os.pathsep.join([str(python_of(moved).parent), os.environ["PATH"]]),
        "DATABASE_URL": postgresql.new_database(),
        "CELERY_BROKER_URL": redis.new_url(),
    }
    site = Site(copy, page, env)
    site.call("python manage.py migrate")
    yield site
    for server in site.running:
        server.stop()


def test_email_is_retried_until_the_mail_server_is_up(site):
    port = free_port()
    site.env["EMAIL_URL"] = f"smtp://127.0.0.1:{port}"
    assert site.shell(SIGN_UP).split()[-1] == "302"

    worker = site.start_worker()
    worker.wait_for_output("ConnectionRefusedError")

    with mail_server(port) as (_, mail):
        wait_until(lambda: "verification code" in mail(), lambda: worker.output)
    worker.wait_for_output("Task ops.mail.send_message")


def test_failed_task_is_retried_by_celery(site):
    worker = site.start_worker()

    site.enqueue("fail_twice", "souffle")

    site.wait_for("end", worker)
    assert [what for what, _ in site.log] == ["begin", "begin", "begin", "end"]


def test_task_that_fails_for_good_is_logged_as_an_error(site):
    file = site.project / "ops" / "celery.py"
    text = file.read_text("utf-8")
    file.write_text(text.replace("max_retries=9", "max_retries=1"), "utf-8")
    worker = site.start_worker()

    site.enqueue("fail_twice", "souffle")

    worker.wait_for_output("raised unexpected: ValueError")
    (line,) = [line for line in worker.lines if "raised unexpected" in line]
    assert '"level": "ERROR"' in line
    assert "Task chores.fail_twice" in line


def test_task_of_a_killed_celery_worker_is_run_by_another(site):
    worker = site.start_worker()
    site.enqueue("wait_for", "bell", "dinner")
    site.wait_for("begin", worker)

    worker.send(signal.SIGKILL)
    worker.wait()
    (site.project / "bell").touch()
    other = site.start_worker()

    site.wait_for("end", other)
    assert [what for what, _ in site.log] == ["begin", "begin", "end"]


def test_task_of_a_killed_process_is_retried(site):
    worker = site.start_worker()
    site.enqueue("wait_for", "bell", "dinner")
    pid = site.wait_for("begin", worker)

    os.kill(int(pid), signal.SIGKILL)
    (site.project / "bell").touch()

    assert site.wait_for("end", worker) != pid


def test_celery_worker_finishes_its_tasks_when_it_is_stopped(site):
    worker = site.start_worker()
    site.enqueue("wait_for", "bell", "dinner")
    site.wait_for("begin", worker)

    worker.process.send_signal(signal.SIGTERM)
    worker.wait_for_output("Warm shutdown")
    (site.project / "bell").touch()

    assert worker.wait() == 0, worker.output
    assert [what for what, _ in site.log] == ["begin", "end"]


def test_task_is_sent_to_celery_when_the_transaction_commits(site):
    count = site.shell("""
import os

import chores
import redis
from django.db import transaction

queue = redis.Redis.from_url(os.environ["CELERY_BROKER_URL"])
try:
    with transaction.atomic():
        chores.fail_twice.enqueue("rolled back")
        raise ValueError
except ValueError:
    print(queue.llen("default"))
with transaction.atomic():
    chores.fail_twice.enqueue("committed")
    print(queue.llen("default"))
print(queue.llen("default"))
""")

    assert count.split() == ["0", "0", "1"]


def test_page_fails_if_redis_is_down_and_what_it_saved_stays(site):
    site.env["CELERY_BROKER_URL"] = f"redis://127.0.0.1:{free_port()}"

    output = site.shell("""
from django.contrib.auth import get_user_model
from django.db import transaction

import chores

try:
    with transaction.atomic():
        get_user_model().objects.create_user("ada@example.com")
        chores.fail_twice.enqueue("souffle")
except Exception as error:
    print(type(error).__name__)
print(get_user_model().objects.count())
""")

    assert output.split() == ["OperationalError", "1"]


def test_scheduled_tasks_run_and_the_worker_answers_the_health_check(site):
    worker = site.start_worker()

    assert "pong" in site.call(command(site.page, "inspect ping"))

    site.start("celery beat", "beat: Starting...")
    # Not at midnight: what beat sends then.
    site.shell("""
from ops.celery import app

for entry in app.conf.beat_schedule.values():
    app.send_task(entry["task"], entry["args"])
""")
    worker.wait_for_output("Deleted 0")
    worker.wait_for_output("succeeded in")


def test_tasks_left_in_the_database_are_run_after_the_move(site):
    broker = site.env.pop("CELERY_BROKER_URL")
    (site.project / "bell").touch()
    site.enqueue("wait_for", "bell", "dinner")
    site.env["CELERY_BROKER_URL"] = broker

    site.call(command(site.page, "ox_worker --batch"))

    assert [what for what, _ in site.log] == ["begin", "end"]


def test_project_passes_its_own_tests_after_the_move(site):
    for name in (*PRODUCTION, "DATABASE_URL", "CELERY_BROKER_URL"):
        del site.env[name]

    assert re.search(r"\d+ passed", site.call("python -m pytest -q"))
    site.call("ruff check . && ruff format --check .")


def test_every_command_of_the_page_is_executed(page):
    executed = ("uv add", "worker --log", "inspect ping", "celery beat", "--batch")

    commands = [block.text for block in page if block.language == "sh"]

    assert len(commands) == len(executed)
    assert [command(page, text) + "\n" for text in executed] == commands
    assert len([b for b in page if b.language == "python"]) + len(commands) == len(page)

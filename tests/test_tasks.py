"""Tasks of the generated project, done by real workers with each kind of queue."""

import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers import free_port, python_of, wait_until
from sites import mail_server
from test_project import PRODUCTION, run

CHORES = Path(__file__).parent / "in_project" / "chores.py"

# As in production, with less to wait for.
IN_A_HURRY = """
import os

from {slug}.settings import *

TASKS["default"]["OPTIONS"] |= {{"BACKOFF_INITIAL": 1, "REDIS_BLOCK_TIMEOUT": 200}}
if seconds := int(os.environ.get("DEAD_AFTER", "0")):
    TASKS["default"]["OPTIONS"] |= {{
        "LOCK_TIMEOUT": seconds, "REDIS_CLAIM_TIMEOUT": seconds
    }}
"""


@dataclass
class Site:
    """A project with chores to do, and a queue for them."""

    project: Path
    env: dict
    serve: object

    def run(self, code):
        status, output = run(
            self.project, "manage.py", "shell", "-v", "0", "-c", code, env=self.env
        )
        assert status == 0, output
        return output

    def enqueue(self, task, *args):
        self.run(f"import chores; chores.{task}.enqueue(*{args!r})")

    def start_worker(self, command="worker"):
        return self.serve(
            [python_of(self.project), "manage.py", *command.split()],
            cwd=self.project,
            env=self.env,
        )

    @property
    def redis(self):
        return "TASKS_URL" in self.env

    @property
    def log(self):
        """Return what the chores wrote down: begin or end, its name, which worker."""
        file = self.project / "chores.log"
        text = file.read_text("utf-8") if file.exists() else ""
        return [tuple(line.split()) for line in text.splitlines()]

    def wait_for(self, what, name, worker):
        wait_until(
            lambda: (what, name, str(worker.process.pid)) in self.log,
            lambda: f"No {what} of {name} in {self.log}:\n{worker.output}",
        )


@pytest.fixture(params=["sqlite", "postgresql", "redis"])
def site(request, workspace, serve):
    shutil.copy(CHORES, workspace)
    settings = IN_A_HURRY.format(slug=workspace.name)
    (workspace / "in_a_hurry.py").write_text(settings, "utf-8")
    env = {"DJANGO_SETTINGS_MODULE": "in_a_hurry"}
    if request.param == "postgresql":
        env["DATABASE_URL"] = request.getfixturevalue("postgresql").new_database()
        status, output = run(workspace, "manage.py", "migrate", env=env)
        assert status == 0, output
    if request.param == "redis":
        env["TASKS_URL"] = request.getfixturevalue("redis").new_url()
    return Site(workspace, env, serve)


def test_a_worker_that_is_told_to_stop_finishes_what_it_has_begun(site):
    site.enqueue("wait_for", "bell", "dinner")
    worker = site.start_worker()
    site.wait_for("begin", "dinner", worker)

    worker.process.send_signal(signal.SIGTERM)
    site.enqueue("wait_for", "bell", "dessert")
    (site.project / "bell").touch()

    assert worker.wait() == 0, worker.output
    pid = str(worker.process.pid)
    assert site.log == [("begin", "dinner", pid), ("end", "dinner", pid)]
    other = site.start_worker()
    site.wait_for("end", "dessert", other)


def test_a_task_whose_worker_is_killed_is_done_by_another(site):
    site.env["DEAD_AFTER"] = "2"
    site.enqueue("wait_for", "bell", "dinner")
    worker = site.start_worker()
    site.wait_for("begin", "dinner", worker)

    worker.process.kill()
    worker.wait()
    (site.project / "bell").touch()
    # `worker` on Redis looks for such tasks once a minute.
    hurried = "run_redis_tasks --continuous --claim-interval 1"
    other = site.start_worker(hurried if site.redis else "worker")

    site.wait_for("end", "dinner", other)
    assert ("end", "dinner", str(worker.process.pid)) not in site.log


def test_workers_share_the_tasks_and_each_is_done_once(site):
    names = [f"dish{number}" for number in range(9)]
    workers = [site.start_worker(f"worker --heartbeat-file={n}") for n in range(2)]
    site.run(f"""
from chores import wait_for_another_worker
for name in {names}: wait_for_another_worker.enqueue(name)
""")

    wait_until(lambda: len(site.log) >= 2 * len(names), lambda: str(site.log))
    assert sorted(name for what, name, _ in site.log if what == "end") == names
    assert {pid for *_, pid in site.log} == {str(w.process.pid) for w in workers}
    status, output = run(site.project, "manage.py", "ox_health", "--heartbeat-file=1")
    assert status == 0, output


# One backend does it in either database.
@pytest.mark.parametrize("site", ["sqlite", "redis"], indirect=True)
def test_a_task_that_fails_is_tried_again_and_the_admin_shows_why(site):
    site.enqueue("fail_twice", "souffle")

    worker = site.start_worker()

    site.wait_for("end", "souffle", worker)
    assert [line[0] for line in site.log] == ["begin", "begin", "begin", "end"]
    model = "django_tasks_redis/redistask" if site.redis else "django_ox/oxtask"
    pages = site.run(f"""
import re
from django.test import Client
from accounts.models import User

client = Client(headers={{"host": "localhost"}})
client.force_login(User.objects.create_superuser("ada@example.com"))
tasks = client.get("/admin/{model}/").text
address = re.search(r'/admin/{model}/[0-9a-f-]{{36}}/change/', tasks)[0]
print(tasks, client.get(address, follow=True).text)
""")
    assert "chores.fail_twice" in pages
    assert pages.count("ValueError: Not yet.") == 2
    assert "style=" not in pages


@pytest.mark.parametrize("site", ["sqlite", "redis"], indirect=True)
def test_people_sign_up_while_the_mail_server_is_down_and_get_their_mail(site):
    port = free_port()
    site.env |= {**PRODUCTION, "EMAIL_URL": f"smtp://127.0.0.1:{port}"}

    answer = site.run("""
from django.test import Client

secret = "correct horse battery"
person = {"email": "ada@example.com", "password1": secret, "password2": secret}
client = Client(headers={"host": "example.com"})
print(client.post("/accounts/signup/", person, secure=True).status_code)
""")
    assert answer.split()[-1] == "302", answer
    worker = site.start_worker()
    worker.wait_for_output("ConnectionRefusedError")

    with mail_server(port) as (_, mail):
        wait_until(lambda: "verification code" in mail(), mail)

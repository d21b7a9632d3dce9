"""Two machines behind a load balancer, and what is lost when something goes down."""

import collections
import contextlib
import itertools
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from conftest import copy_project
from helpers import Server, free_port, python_of, wait_until
from load import under_load
from services import find
from sites import PRODUCTION
from test_project import run

pytestmark = pytest.mark.skipif(os.name == "nt", reason="sends signals")

VISITORS = 8  # and as many who order

SHOP = """
from {slug}.settings import *

ROOT_URLCONF = "orders"
TASKS["default"]["OPTIONS"]["LOCK_TIMEOUT"] = 3  # or the test would take a minute
"""

# The project's own configuration of Caddy, told that TLS ended in front of it.
BALANCER = """{{
	admin off
	auto_https off
	default_bind 127.0.0.1
}}
{caddyfile}
"""


class Machine:
    """One that serves, and works on tasks."""

    def __init__(self, folder, env):
        self.folder, self.env = folder, {**env, "PORT": str(free_port())}
        self.start()

    def start(self):
        serve, worker = "scripts/serve.py", "manage.py worker"
        self.web, self.worker = (
            Server([python_of(self.folder), *command.split()], self.folder, self.env)
            for command in (serve, worker)
        )
        self.web.wait_until_it_answers(f"http://127.0.0.1:{self.env['PORT']}/readyz")

    def kill(self):
        """End it all at once, as a power cut does."""
        for server in (self.web, self.worker):
            server.send(signal.SIGKILL)
            server.stop()

    def stop(self):
        self.web.stop()
        self.worker.stop()


@pytest.fixture
def shop(released, tmp_path, postgresql, redis):
    """Return the folder and environment of a site that takes orders."""
    folder = copy_project(released, tmp_path)
    shutil.copy(Path(__file__).parent / "in_project" / "orders.py", folder)
    (folder / "shop.py").write_text(SHOP.format(slug=folder.name), "utf-8")
    env = {
        **os.environ,
        **PRODUCTION,
        "DJANGO_SETTINGS_MODULE": "shop",
        "DATABASE_URL": postgresql.new_database(),
        "CACHE_URL": redis.new_url(),
        "EMAIL_URL": "smtp://localhost",
        "WEB_CONCURRENCY": "1",
    }
    status, output = run(folder, "manage.py", "migrate", env=env)
    assert status == 0, output
    return folder, env


@pytest.fixture
def machines(shop):
    machines = []
    try:
        for _ in range(2):
            machines.append(Machine(*shop))
        yield machines
    finally:
        for machine in machines:
            machine.stop()


@pytest.fixture
def balancer(machines, serve, tmp_path):
    """Return the port of the load balancer."""
    port = free_port()
    file = machines[0].folder / "deploy" / "Caddyfile"
    text = file.read_text("utf-8").replace(
        "lb_try_duration", "header_up X-Forwarded-Proto https\n\t\t\tlb_try_duration"
    )
    (tmp_path / "Caddyfile").write_text(BALANCER.format(caddyfile=text), "utf-8")
    serve(
        [find("caddy"), "run", "--config", tmp_path / "Caddyfile"],
        cwd=tmp_path,
        env={
            "HOME": str(tmp_path),
            "DOMAIN": f"http://localhost:{port}",
            "UPSTREAM": " ".join(f"127.0.0.1:{m.env['PORT']}" for m in machines),
        },
        url=f"http://localhost:{port}/livez",
    )
    return port


UNFULFILLED = """
from django.contrib.auth.models import Group

orders = Group.objects.all()
print(orders.count(), orders.exclude(name__endswith=" fulfilled").count())
"""


def test_what_goes_down_takes_few_requests_with_it_and_no_order(
    shop, machines, balancer, postgresql, redis
):
    orders_taken = 0

    @contextlib.contextmanager
    def visitors():
        """Have people look and order in the block, and a moment before and after.

        Yield what went wrong.
        """
        nonlocal orders_taken
        looking, ordering = ("GET", "/latest/"), ("POST", "/order/")
        clients = [itertools.repeat(what) for what in [looking, ordering] * VISITORS]
        failures = collections.Counter()
        with under_load(balancer, *clients) as answers:
            time.sleep(0.5)
            yield failures
            time.sleep(0.5)
        orders_taken += answers[201]
        failures.update(answers)
        del failures[200], failures[201]

    # What the machine was answering is cut off, at most one request a visitor; Caddy
    # cannot ask again, for an order may have been taken. Nobody else notices.
    with visitors() as failures:
        machines[0].kill()
    assert set(failures) <= {502}
    assert failures[502] <= 2 * VISITORS

    with visitors() as failures:
        machines[0].start()
    assert not failures

    # So it is with queries. Who comes while there is no database waits for it.
    with visitors() as failures:
        postgresql.stop()
        time.sleep(1)
        postgresql.start()
    assert set(failures) <= {500}
    assert failures[500] <= 2 * VISITORS

    with visitors() as failures:
        redis.stop()
        time.sleep(1)
        redis.start()
    assert not failures

    with visitors() as failures:
        for machine in machines:
            machine.web.process.send_signal(signal.SIGHUP)
        for machine in machines:
            machine.web.wait_for_output("Finished server process")
    assert not failures

    def all_is_fulfilled():
        count, unfulfilled = map(int, run_in_shop(UNFULFILLED).split())
        assert count >= orders_taken > 0
        return not unfulfilled

    def run_in_shop(code):
        folder, env = shop
        command = ("manage.py", "shell", "--no-imports", "-c", code)
        return run(folder, *command, env=env)[1]

    wait_until(all_is_fulfilled, lambda: machines[1].worker.output)

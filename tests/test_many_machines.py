"""Two machines behind a load balancer, while a part of the system is down."""

import collections
import contextlib
import itertools
import os
import shutil
import signal
import time

import pytest
from support.load import under_load
from support.project import copy_project, python_of, run, run_shell
from support.server import Server, free_port, wait_until
from support.site import PRODUCTION
from support.template import IN_PROJECT
from support.tools import find_program

pytestmark = [
    pytest.mark.services,
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="sends signals"),
]

VISITORS = 8  # Of these, and as many customers who order.

SHOP = """
from {slug}.settings import *

ROOT_URLCONF = "orders"
TASKS["default"]["OPTIONS"]["LOCK_TIMEOUT"] = 3  # Not a minute.
"""

# The project's Caddyfile, without TLS.
BALANCER = """{{
	admin off
	auto_https off
	default_bind 127.0.0.1
}}
{caddyfile}
"""


class Machine:
    """A machine with a web server and a worker."""

    def __init__(self, folder, env):
        self.folder, self.env = folder, {**env, "PORT": str(free_port())}
        self.start()

    def start(self):
        serve, worker = "scripts/serve.py", "manage.py ox_worker --concurrency=4"
        self.web, self.worker = (
            Server([python_of(self.folder), *command.split()], self.folder, self.env)
            for command in (serve, worker)
        )
        self.web.wait_until_up(f"http://127.0.0.1:{self.env['PORT']}/readyz")

    def kill(self):
        """End both at once, as a power failure does."""
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
    shutil.copy(IN_PROJECT / "orders.py", folder)
    (folder / "shop.py").write_text(SHOP.format(slug=folder.name), "utf-8")
    env = {
        **os.environ,
        **PRODUCTION,
        "DJANGO_SETTINGS_MODULE": "shop",
        "DATABASE_URL": postgresql.new_database(),
        "CACHE_URL": redis.new_url(),
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
        [find_program("caddy"), "run", "--config", tmp_path / "Caddyfile"],
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


def test_failures_lose_few_requests_and_no_orders(
    shop, machines, balancer, postgresql, redis
):
    folder, env = shop
    orders_taken = 0

    @contextlib.contextmanager
    def visitors():
        """Send requests during the block; yield the counts of the failed ones."""
        nonlocal orders_taken
        visit, order = ("GET", "/latest/"), ("POST", "/order/")
        clients = [itertools.repeat(request) for request in [visit, order] * VISITORS]
        failures = collections.Counter()
        with under_load(balancer, *clients) as statuses:
            time.sleep(0.5)
            yield failures
            time.sleep(0.5)
        orders_taken += statuses[201]
        failures.update(statuses)
        del failures[200], failures[201]

    # The requests in flight fail, at most one for each client: Caddy cannot retry them,
    # since an order may have been saved.
    with visitors() as failures:
        machines[0].kill()
    assert set(failures) <= {502}
    assert failures[502] <= 2 * VISITORS

    with visitors() as failures:
        machines[0].start()
    assert not failures

    # The queries in flight fail. New requests wait for the database.
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

    def all_are_fulfilled():
        count, unfulfilled = map(int, run_shell(folder, UNFULFILLED, env).split())
        assert count >= orders_taken > 0
        return not unfulfilled

    wait_until(all_are_fulfilled, lambda: machines[1].worker.output)

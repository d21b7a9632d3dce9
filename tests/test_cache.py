"""The site with its cache and sessions on Redis, while that is there and while not."""

import os
import signal

import pytest
from conftest import copy_project
from helpers import fetch, free_port, wait_until
from sites import PRODUCTION
from test_project import run, uvicorn

LOG_IN = """
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client

client = Client()
user, _ = get_user_model().objects.get_or_create(
    email="ada@example.com", is_staff=True, is_superuser=True
)
client.force_login(user)
print(client.cookies[settings.SESSION_COOKIE_NAME].value)
"""


@pytest.fixture(scope="module")
def folder(released, tmp_path_factory):
    return copy_project(released, tmp_path_factory.mktemp("cached"))


@pytest.fixture
def site(folder, serve):
    """Return a function that serves the project with a CACHE_URL, to somebody."""

    def site(url):
        port = free_port()
        env = {**PRODUCTION, "EMAIL_URL": "smtp://localhost", "CACHE_URL": url}
        status, key = run(
            folder, "manage.py", "shell", "--no-imports", "-c", LOG_IN, env=env
        )
        assert status == 0, key
        server = serve(
            uvicorn(folder, port), folder, env, f"http://localhost:{port}/livez"
        )
        server.headers = {
            "X-Forwarded-Proto": "https",
            "Cookie": f"__Host-sessionid={key.splitlines()[-1]}",
        }
        server.folder = folder
        server.address = f"http://localhost:{port}"
        server.get = lambda path: fetch(server.address + path, server.headers)
        return server

    return site


STATISTICS = """
import sys
from redis import Redis

server = Redis.from_url(sys.argv[1])
print(server.dbsize(), server.info("stats")["total_connections_received"])
"""


def test_sessions_are_read_from_redis_over_connections_that_are_kept(site, redis):
    server = site(url := redis.new_url())

    def statistics():
        return map(int, run(server.folder, "-c", STATISTICS, url)[1].split())

    _, before = statistics()
    for _ in range(30):
        assert "ada@example.com" in server.get("/admin/")[2]
    size, after = statistics()

    assert size > 0
    assert after - before < 10


def assert_is_out_and_then_back(server, stop, start):
    assert server.get("/readyz")[::2] == (200, "ok")

    stop()
    for _ in range(3):
        assert "ada@example.com" in server.get("/admin/")[2]
    assert server.get("/readyz")[::2] == (503, "failed: cache")
    assert server.get("/readyz?exclude=cache")[::2] == (200, "ok")

    start()
    wait_until(lambda: server.get("/readyz")[0] == 200, "It stays unready.")
    assert "ada@example.com" in server.get("/admin/")[2]
    for sentence in ("Doing without the cache", "The cache is back"):
        assert server.output.count(sentence) == 1, server.output
    assert "Traceback" not in server.output


def test_nobody_is_logged_out_when_redis_stops_and_starts(site, redis):
    assert_is_out_and_then_back(site(redis.new_url()), redis.stop, redis.start)


@pytest.mark.skipif(os.name == "nt", reason="stops a process by a signal of POSIX's")
def test_nobody_is_logged_out_while_redis_hangs(site, redis):
    assert_is_out_and_then_back(
        site(redis.new_url()),
        lambda: redis.process.send_signal(signal.SIGSTOP),
        lambda: redis.process.send_signal(signal.SIGCONT),
    )

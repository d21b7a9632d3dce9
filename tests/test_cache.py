"""The cache on Redis: the site works, and stays secure, while Redis fails."""

import os
import shutil
import signal
import subprocess
import sys
import threading

import pytest
import requests
from support.project import copy_project
from support.server import wait_until
from support.services import Redis
from support.site import in_production

pytestmark = [
    pytest.mark.services,
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="sends signals"),
    # The certificate of support.site.tls_proxy is from no trusted authority.
    pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning"),
]

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery"


class User:
    """A user with a browser of their own."""

    def __init__(self, site):
        self.origin = site.origin
        self.session = requests.Session()
        self.session.verify = self.session.trust_env = False

    def get(self, path):
        # Each request has a connection of its own: the proxy alternates the workers.
        headers = {"Connection": "close"}
        return self.session.get(self.origin + path, headers=headers)

    def submit(self, path, **fields):
        """Submit the form of a page; return the status of the response."""
        assert self.get(path).status_code == 200
        fields["csrfmiddlewaretoken"] = self.session.cookies["csrftoken"]
        headers = {"Connection": "close", "Referer": self.origin + path}
        url = self.origin + path
        return self.session.post(url, fields, headers=headers).status_code

    def log_in(self):
        assert self.submit("/accounts/login/", login=EMAIL, password=PASSWORD) == 200
        assert self.is_logged_in

    @property
    def is_logged_in(self):
        response = self.get("/")
        assert response.status_code == 200
        return "Sign Out" in response.text


@pytest.fixture(scope="module")
def redis():
    server = Redis(password="secret")
    yield server
    server.stop()
    shutil.rmtree(server.folder)


@pytest.fixture
def restarted_redis(redis):
    """Return Redis as it is at first, whatever the test before did to it."""
    redis.stop()
    redis.start()
    return redis


@pytest.fixture(scope="module")
def site(released, redis, tmp_path_factory):
    """Return the Site of a project with two worker processes and a user."""
    folder = copy_project(released, tmp_path_factory.mktemp("cache"))
    with in_production(folder, processes=2, CACHE_URL=redis.new_url()) as site:
        site.create_superuser(EMAIL, PASSWORD)
        yield site


def fail_to_save(redis):
    (redis.folder / "is-a-folder").mkdir(exist_ok=True)
    redis.command("CONFIG SET dbfilename is-a-folder")
    redis.command("CONFIG SET save '60 1000000'")
    redis.command("BGSAVE")
    wait_until(
        lambda: redis.command("SET key value").startswith("MISCONF"),
        "Redis still accepts data.",
    )


def load_slowly(redis):
    for setting in (
        "dbfilename slow.rdb",
        "loading-process-events-interval-bytes 1024",
        "key-load-delay 3000",
    ):
        redis.command(f"CONFIG SET {setting}")
    redis.command("DEBUG POPULATE 9000 key 100")
    redis.command("SAVE")
    # The command returns when the data is loaded, or when the test stops Redis.
    reload = ["DEBUG RELOAD NOSAVE"]
    threading.Thread(target=redis.command, args=reload, daemon=True).start()
    wait_until(
        lambda: redis.command("GET key").startswith("LOADING"), "Redis does not load."
    )


def run(*commands):
    """Return a function that runs commands of Redis."""
    return lambda redis: [redis.command(text) for text in commands]


STAND_IN = """
import socketserver, struct, sys
from socket import SO_LINGER, SOL_SOCKET

port, reply = int(sys.argv[1]), sys.argv[2].encode()

class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        while self.request.recv(2**16) and reply:
            self.request.sendall(reply)
        # Reset the connection.
        self.request.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))

socketserver.ThreadingTCPServer.allow_reuse_address = True
with socketserver.ThreadingTCPServer(("127.0.0.1", port), Handler) as server:
    print("Ready", flush=True)
    server.serve_forever()
"""


def replace(reply):
    """Return a function that replaces Redis by a server that always sends `reply`."""

    def cause(redis):
        redis.stop()
        command = [sys.executable, "-c", STAND_IN, str(redis.port), reply]
        redis.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, encoding="utf-8"
        )
        assert redis.process.stdout.readline() == "Ready\n"

    return cause


# What happens to Redis, and what the log then says.
FAULTS = {
    "stopped": (Redis.stop, "Connection refused"),
    "hangs": (lambda redis: redis.process.send_signal(signal.SIGSTOP), "Timeout"),
    "cannot save": (fail_to_save, "MISCONF"),
    "read-only replica": (run("REPLICAOF 127.0.0.1 1"), "read only replica"),
    "replica without data": (
        run("CONFIG SET replica-serve-stale-data no", "REPLICAOF 127.0.0.1 1"),
        "Link with MASTER is down",
    ),
    "out of memory": (run("CONFIG SET maxmemory 1"), "used memory > 'maxmemory'"),
    "loading": (load_slowly, "loading the dataset"),
    "another password": (
        run("CLIENT KILL TYPE normal", "CONFIG SET requirepass other"),
        "invalid username-password",
    ),
    "no permission": (run("ACL SETUSER default -@all"), "no permissions"),
    "asks for a password": (
        replace("-NOAUTH Authentication required.\r\n"),
        "Authentication required",
    ),
    "too many clients": (
        replace("-ERR max number of clients reached\r\n"),
        "max number of clients",
    ),
    "resets connections": (replace(""), "Connection "),
    "speaks another protocol": (
        replace("HTTP/1.1 400 Bad Request\r\n\r\n"),
        "Protocol Error",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_users_log_in_and_out_while_redis_fails(site, restarted_redis, fault):
    cause, message = FAULTS[fault]
    before, after = User(site), User(site)
    before.log_in()
    old_cookies = before.session.cookies.copy()
    log_before = len(site.log())

    cause(restarted_redis)
    after.log_in()
    assert before.is_logged_in
    assert before.submit("/accounts/logout/") == 200

    # Half of the requests are answered by the worker that did not end the session.
    stolen = User(site)
    for _ in range(12):
        stolen.session.cookies = old_cookies.copy()
        assert not stolen.is_logged_in
    log = site.log()[log_before:]
    assert message in log
    assert '"status_code": 500' not in log


@pytest.mark.parametrize("fault", ["stopped", "hangs"])
def test_readyz_reports_the_cache_until_redis_recovers(site, restarted_redis, fault):
    user = User(site)
    assert user.get("/readyz").text == "ok"

    FAULTS[fault][0](restarted_redis)
    assert user.get("/readyz").text == "failed: cache"
    assert user.get("/readyz?exclude=cache").text == "ok"

    if fault == "stopped":
        restarted_redis.start()
    else:
        restarted_redis.process.send_signal(signal.SIGCONT)
    wait_until(
        lambda: user.get("/readyz").status_code == 200,
        "The site does not become ready.",
    )


def test_connections_to_redis_are_kept(site, restarted_redis):
    def connections():
        statistics = restarted_redis.command("INFO stats")
        return int(statistics.partition("total_connections_received:")[2].split()[0])

    user = User(site)
    before = connections()
    for _ in range(30):
        assert user.get("/readyz").text == "ok"

    assert connections() - before < 10

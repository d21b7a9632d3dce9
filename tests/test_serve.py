"""scripts/serve.py: unsafe configurations, signals, workers that die, connections."""

import itertools
import json
import os
import re
import signal
import socket
import sys
import time

import pytest
import requests
from support.load import under_load
from support.project import copy_project, python_of, run
from support.server import fetch, free_port, wait_until
from support.site import PRODUCTION

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="sends signals"),
]

ENV = {**PRODUCTION, "WEB_CONCURRENCY": "2"}
PROXY = {"Host": "localhost", "X-Forwarded-Proto": "https"}


@pytest.fixture
def site(released, serve):
    """Return a function that starts serve.py and returns the server and its port."""

    def site(folder=released, production=ENV, **env):
        port = free_port()
        server = serve(
            [python_of(folder), "scripts/serve.py"],
            cwd=folder,
            env={**production, "PORT": str(port), **env},
            url=f"http://127.0.0.1:{port}/livez",
        )
        return server, port

    return site


def visitors(count=16):
    return [itertools.repeat(("GET", "/")) for _ in range(count)]


def workers(server):
    """Return the process ids of the workers, in the order in which they started."""
    return [
        int(pid) for pid in re.findall(r"Started server process .(\d+)", server.output)
    ]


def wait_until_workers(server, started, ended):
    def are_so_many():
        finished = server.output.count("Finished server process")
        return (len(workers(server)), finished) == (started, ended)

    wait_until(are_so_many, lambda: server.output)


def test_sighup_under_load_loses_no_request(site):
    server, port = site()

    with under_load(port, *visitors()) as answers:
        wait_until_workers(server, started=2, ended=0)
        server.process.send_signal(signal.SIGHUP)
        wait_until_workers(server, started=4, ended=2)

    assert set(answers) == {200}


def test_sighup_starts_the_new_worker_before_the_old_one_stops(site):
    server, port = site(WEB_CONCURRENCY="1")

    with under_load(port, *visitors()) as answers:
        server.process.send_signal(signal.SIGHUP)
        wait_until_workers(server, started=2, ended=1)

    assert set(answers) == {200}


def test_sigterm_under_load_loses_no_accepted_request(site):
    server, port = site()

    with under_load(port, *visitors()) as answers:
        wait_until(lambda: answers[200], lambda: server.output)
        server.process.send_signal(signal.SIGTERM)
        status = server.wait()

    assert status == 0
    assert set(answers) == {200, "ConnectionRefusedError"}


def test_sigterm_finishes_requests_and_refuses_connections(site):
    server, port = site()
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n1"
        )
        fetch(f"http://127.0.0.1:{port}/livez")  # By now it has arrived, too.

        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_refused(port), lambda: server.output)
        client.sendall(b"2")
        answer = client.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 ")
    assert b"connection: close" in answer
    assert server.wait() == 0


def is_refused(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


def test_dead_worker_is_replaced(site):
    server, port = site()
    wait_until_workers(server, started=2, ended=0)

    # A stopped worker answers no health check; it is killed while one is running.
    os.kill(workers(server)[0], signal.SIGSTOP)
    time.sleep(0.7)
    os.kill(workers(server)[0], signal.SIGKILL)

    wait_until_workers(server, started=3, ended=0)
    assert fetch(f"http://127.0.0.1:{port}/", PROXY)[0] == 200


def test_workers_stay_if_the_new_code_does_not_start(released, tmp_path, site):
    folder = copy_project(released, tmp_path)
    server, port = site(folder, WEB_CONCURRENCY="1")
    (folder / "pages" / "urls.py").write_text("a syntax error", "utf-8")

    server.process.send_signal(signal.SIGHUP)

    server.wait_for_output("The new worker did not start")
    assert fetch(f"http://127.0.0.1:{port}/", PROXY)[0] == 200


def test_sighup_reads_the_env_file_again(released, tmp_path, site):
    folder = copy_project(released, tmp_path)
    env = folder / ".env"
    env.write_text("ALLOWED_HOSTS=localhost\n", "utf-8")
    without = {name: value for name, value in ENV.items() if name != "ALLOWED_HOSTS"}
    server, port = site(folder, without, WEB_CONCURRENCY="1")
    visitor = {**PROXY, "Host": "another.example"}
    assert fetch(f"http://127.0.0.1:{port}/", visitor)[0] == 400

    env.write_text("ALLOWED_HOSTS=localhost,another.example\n", "utf-8")
    server.process.send_signal(signal.SIGHUP)
    wait_until_workers(server, started=2, ended=1)

    assert fetch(f"http://127.0.0.1:{port}/", visitor)[0] == 200


def test_sighup_trusts_the_proxies_of_the_new_env_file(released, tmp_path, site):
    folder = copy_project(released, tmp_path)
    env = folder / ".env"
    env.write_text("FORWARDED_ALLOW_IPS=127.0.0.1\n", "utf-8")
    without = {name: ENV[name] for name in ENV if name != "FORWARDED_ALLOW_IPS"}
    server, port = site(folder, without, WEB_CONCURRENCY="1")
    assert fetch(f"http://127.0.0.1:{port}/", PROXY)[0] == 200

    env.write_text("FORWARDED_ALLOW_IPS=192.0.2.1\n", "utf-8")
    server.process.send_signal(signal.SIGHUP)
    wait_until_workers(server, started=2, ended=1)

    url = f"http://127.0.0.1:{port}/"
    response = requests.get(url, headers=PROXY, allow_redirects=False)
    assert response.headers["Location"] == "https://localhost/"


@pytest.fixture
def change(released, tmp_path):
    """Return a function that changes constants of server/workers.py in a copy."""

    def change(**constants):
        folder = copy_project(released, tmp_path)
        path = folder / "server" / "workers.py"
        text = path.read_text("utf-8")
        for name, value in constants.items():
            text, count = re.subn(rf"(?m)^{name} = .+$", f"{name} = {value}", text)
            assert count == 1
        path.write_text(text, "utf-8")
        return folder

    return change


SLOW_VIEW = """
import time
from django.http import HttpResponse


def slow(request):
    time.sleep(600)
    return HttpResponse()
"""


def test_sigterm_ends_the_process_while_a_view_hangs(change, site):
    folder = change(TIMEOUT_GRACEFUL_SHUTDOWN=1)
    (folder / "pages" / "slow.py").write_text(SLOW_VIEW, "utf-8")
    urls = folder / "pages" / "urls.py"
    text = urls.read_text("utf-8").replace(
        "urlpatterns = [",
        "from .slow import slow\n\nurlpatterns = [\n    path('slow/', slow),",
    )
    urls.write_text(text, "utf-8")
    server, port = site(folder)
    with socket.create_connection(("127.0.0.1", port)) as client:
        head = "".join(f"{name}: {value}\r\n" for name, value in PROXY.items())
        client.sendall(f"GET /slow/ HTTP/1.1\r\n{head}\r\n".encode())
        fetch(f"http://127.0.0.1:{port}/livez")

        server.process.send_signal(signal.SIGTERM)

        assert server.wait() == 0


def test_workers_end_when_the_supervisor_was_killed(site):
    server, port = site()
    wait_until_workers(server, started=2, ended=0)

    server.process.kill()

    wait_until(lambda: is_refused(port), lambda: server.output)


def test_silent_connections_are_closed(change, site):
    _, port = site(change(TIMEOUT_FIRST_REQUEST=1), WEB_CONCURRENCY="1")

    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(30)
        assert client.recv(1) == b""


def test_full_worker_leaves_connections_to_the_others(released, serve):
    # 80 % of 64 open files: each worker accepts 51 connections.
    limits = [sys.executable, "-c", LIMIT_FILES, python_of(released)]
    port = free_port()
    server = serve(
        [*limits, "scripts/serve.py"],
        cwd=released,
        env={**ENV, "PORT": str(port)},
        url=f"http://127.0.0.1:{port}/livez",
    )
    wait_until_workers(server, started=2, ended=0)
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(80)]
    try:
        for client in clients:
            client.settimeout(30)
            client.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 200"
    finally:
        for client in clients:
            client.close()


LIMIT_FILES = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
os.execv(sys.argv[1], sys.argv[1:])
"""

WEBSOCKET = """
import asyncio

django_application = application


async def application(scope, receive, send):
    if scope["type"] != "websocket":
        return await django_application(scope, receive, send)
    await receive()
    await send({"type": "websocket.accept"})
    await asyncio.sleep(2)
    await send({"type": "websocket.send", "text": "hello"})
    await send({"type": "websocket.close"})
"""

UPGRADE = (
    b"GET /ws/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.mark.parametrize(("has_websockets", "status"), [(True, 101), (False, 403)])
def test_websocket(change, site, has_websockets, status):
    # A websocket is not a connection that waits for its first request.
    folder = change(TIMEOUT_FIRST_REQUEST=1)
    if has_websockets:
        asgi = folder / folder.name / "asgi.py"
        asgi.write_text(asgi.read_text("utf-8") + WEBSOCKET, "utf-8")
    server, port = site(folder, WEB_CONCURRENCY="1")

    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(UPGRADE)
        response = client.makefile("rb").read()

    assert response.startswith(f"HTTP/1.1 {status} ".encode())
    assert (b"hello" in response) == has_websockets
    assert "Traceback" not in server.output


def test_log_is_json_with_a_line_for_each_request(site):
    server, port = site()
    server.wait_for_output("Serving on")
    request_id = fetch(f"http://127.0.0.1:{port}/", PROXY)[1]["X-Request-ID"]

    server.process.send_signal(signal.SIGTERM)
    server.wait()

    lines = [json.loads(line) for line in server.lines]
    own = [line for line in lines if line["request_id"] == request_id]
    assert [line["status_code"] for line in own] == [200]


def test_no_server_header_is_sent(site):
    _, port = site(WEB_CONCURRENCY="1")

    assert "Server" not in fetch(f"http://127.0.0.1:{port}/", PROXY)[1]


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("DEBUG", "true", "DEBUG set to True"),
        ("SECRET_KEY", "a" * 60, "SECRET_KEY"),
        ("PORT", "http", "PORT=8000"),
        ("PORT", "99999", "PORT=8001"),
        ("FORWARDED_ALLOW_IPS", "caddy", "'caddy', which is not an IP address"),
        ("FORWARDED_ALLOW_IPS", "10.0.0.0/33", "'10.0.0.0/33', which is not"),
        ("FORWARDED_ALLOW_IPS", "*,10.0.0.1", "'*', which is not"),
        ("HOST", "192.0.2.1", "HOST=127.0.0.1"),
        ("WEB_CONCURRENCY", "-1", "WEB_CONCURRENCY="),
    ],
)
def test_unsafe_configuration_is_refused(released, variable, value, sentence):
    env = {**ENV, "PORT": str(free_port()), variable: value}

    status, output = run(released, "scripts/serve.py", env=env)

    assert status == 1
    assert sentence in output
    assert "Traceback" not in output


def test_all_missing_variables_are_named(released):
    lacking = dict.fromkeys(("SECRET_KEY", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS"), "")

    env = {**ENV, **lacking, "PORT": str(free_port())}
    status, output = run(released, "scripts/serve.py", env=env)

    assert status == 1
    assert len(output.splitlines()) == 1
    for name in lacking:
        assert f"{name}=" in output


def test_port_in_use_is_refused(released):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        status, output = run(released, "scripts/serve.py", env={**ENV, "PORT": port})

    assert status == 1
    assert len(output.splitlines()) == 1
    assert port in output


def test_uncollected_static_files_are_refused(released, tmp_path):
    folder = copy_project(released, tmp_path)
    with (folder / "static" / "site.css").open("a", encoding="utf-8") as sheet:
        sheet.write("/* Changed since. */")

    env = {**ENV, "PORT": str(free_port())}
    status, output = run(folder, "scripts/serve.py", env=env)

    assert status == 1
    assert "site.css" in output
    assert "python manage.py collectstatic --no-input" in output


def test_static_files_collected_with_debug_are_refused(project, tmp_path):
    folder = copy_project(project, tmp_path)
    assert run(folder, "manage.py", "collectstatic", "--no-input")[0] == 0

    env = {**ENV, "PORT": str(free_port())}
    status, output = run(folder, "scripts/serve.py", env=env)

    assert status == 1
    assert "with DEBUG off" in output


@pytest.mark.skipif(sys.platform != "linux", reason="CPUs are limited so on Linux")
def test_one_worker_for_each_available_cpu(site):
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(mine)})
    try:
        server, _ = site(WEB_CONCURRENCY="")
    finally:
        os.sched_setaffinity(0, mine)

    server.wait_for_output("workers: 1")

"""serve.py: what it refuses, whom it answers while it ends, and how it goes on."""

import itertools
import json
import os
import re
import signal
import socket
import sys
import time

import pytest
from support.load import under_load
from support.project import copy_project as copy_of
from support.project import python_of, run
from support.server import fetch, free_port, wait_until
from support.site import PRODUCTION

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="sends signals"),
]

ENV = {**PRODUCTION, "EMAIL_URL": "smtp://localhost", "WEB_CONCURRENCY": "2"}
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


def test_a_restart_under_load_loses_no_request(site):
    server, port = site()

    with under_load(port, *visitors()) as answers:
        wait_until_workers(server, started=2, ended=0)
        server.process.send_signal(signal.SIGHUP)
        wait_until_workers(server, started=4, ended=2)

    assert set(answers) == {200}


def test_the_only_worker_serves_until_its_successor_does(site):
    server, port = site(WEB_CONCURRENCY="1")

    with under_load(port, *visitors()) as answers:
        server.process.send_signal(signal.SIGHUP)
        wait_until_workers(server, started=2, ended=1)

    assert set(answers) == {200}


def test_a_stop_under_load_loses_no_request_that_was_accepted(site):
    server, port = site()

    with under_load(port, *visitors()) as answers:
        wait_until(lambda: answers[200], lambda: server.output)
        server.process.send_signal(signal.SIGTERM)
        status = server.wait()

    assert status == 0
    assert set(answers) == {200, "ConnectionRefusedError"}


def test_a_request_in_flight_is_answered_while_new_ones_are_refused(site):
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


def test_a_worker_that_was_killed_is_replaced(site):
    server, port = site()
    wait_until_workers(server, started=2, ended=0)

    # Stopped, it gives no sign of life, and is being asked for one when it is killed.
    os.kill(workers(server)[0], signal.SIGSTOP)
    time.sleep(0.7)
    os.kill(workers(server)[0], signal.SIGKILL)

    wait_until_workers(server, started=3, ended=0)
    assert fetch(f"http://127.0.0.1:{port}/", PROXY)[0] == 200


def test_a_release_that_does_not_start_leaves_the_old_one_serving(
    released, tmp_path, site
):
    folder = copy_of(released, tmp_path)
    server, port = site(folder, WEB_CONCURRENCY="1")
    (folder / "pages" / "urls.py").write_text("a mistake", "utf-8")

    server.process.send_signal(signal.SIGHUP)

    server.wait_for_output("The new worker did not start")
    assert fetch(f"http://127.0.0.1:{port}/", PROXY)[0] == 200


def test_a_restart_takes_up_a_new_env_file(released, tmp_path, site):
    folder = copy_of(released, tmp_path)
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


def test_more_connections_than_a_worker_takes_are_told_so(released, tmp_path, site):
    folder = copy_of(released, tmp_path)
    script = folder / "scripts" / "serve.py"
    limit = re.compile(r"^LIMIT_CONCURRENCY = \d+$", re.MULTILINE)
    text, count = limit.subn("LIMIT_CONCURRENCY = 2", script.read_text("utf-8"))
    assert count == 1
    script.write_text(text, "utf-8")
    _, port = site(folder, WEB_CONCURRENCY="1")

    with socket.create_connection(("127.0.0.1", port)):
        status, headers, _ = fetch(f"http://127.0.0.1:{port}/livez")

    assert status == 503
    assert headers["Connection"] == "close"


def test_all_that_it_prints_is_json_and_each_request_is_a_line(site):
    server, port = site()
    server.wait_for_output("Serving on")
    request_id = fetch(f"http://127.0.0.1:{port}/", PROXY)[1]["X-Request-ID"]

    server.process.send_signal(signal.SIGTERM)
    server.wait()

    lines = [json.loads(line) for line in server.lines]
    assert [line["status"] for line in lines if line["request_id"] == request_id] == [
        200
    ]


def test_who_serves_is_not_told(site):
    _, port = site(WEB_CONCURRENCY="1")

    assert "Server" not in fetch(f"http://127.0.0.1:{port}/", PROXY)[1]


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("DEBUG", "true", "DEBUG=false"),
        ("SECRET_KEY", "a" * 60, "SECRET_KEY"),
        ("PORT", "http", "PORT=8000"),
        ("PORT", "0", "PORT=8000"),
        ("HOST", "192.0.2.1", "HOST=127.0.0.1"),
        ("WEB_CONCURRENCY", "-1", "WEB_CONCURRENCY="),
    ],
)
def test_what_is_not_fit_is_refused_by_name(released, variable, value, sentence):
    env = {**ENV, "PORT": str(free_port()), variable: value}

    status, output = run(released, "scripts/serve.py", env=env)

    assert status == 1
    assert sentence in output
    assert "Traceback" not in output


def test_all_that_production_lacks_is_named_at_once(released):
    lacking = dict.fromkeys(("SECRET_KEY", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS"), "")

    env = {**ENV, **lacking, "PORT": str(free_port())}
    status, output = run(released, "scripts/serve.py", env=env)

    assert status == 1
    assert len(output.splitlines()) == 1
    for name in lacking:
        assert f"{name}=" in output


def test_a_taken_port_is_refused_in_a_sentence(released):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        status, output = run(released, "scripts/serve.py", env={**ENV, "PORT": port})

    assert status == 1
    assert len(output.splitlines()) == 1
    assert port in output


def test_static_files_that_were_not_collected_are_missed(released, tmp_path):
    folder = copy_of(released, tmp_path)
    with (folder / "static" / "site.css").open("a", encoding="utf-8") as sheet:
        sheet.write("/* Changed since. */")

    env = {**ENV, "PORT": str(free_port())}
    status, output = run(folder, "scripts/serve.py", env=env)

    assert status == 1
    assert "site.css" in output
    assert "python manage.py collectstatic --no-input" in output


def test_static_files_that_were_collected_with_debug_on_are_missed(project, tmp_path):
    folder = copy_of(project, tmp_path)
    assert run(folder, "manage.py", "collectstatic", "--no-input")[0] == 0

    env = {**ENV, "PORT": str(free_port())}
    status, output = run(folder, "scripts/serve.py", env=env)

    assert status == 1
    assert "with DEBUG off" in output


@pytest.mark.skipif(sys.platform != "linux", reason="CPUs are limited so on Linux")
def test_there_is_a_worker_for_each_cpu_that_the_process_may_use(site):
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(mine)})
    try:
        server, _ = site(WEB_CONCURRENCY="")
    finally:
        os.sched_setaffinity(0, mine)

    server.wait_for_output("workers: 1")

"""Error tracking: what arrives at the server that SENTRY_DSN names, and what does not."""

import gzip
import json
import os
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests
from support.markdown import blocks
from support.project import copy_project, python_of, run, run_shell
from support.server import free_port, wait_until
from support.site import HTTPS, PRODUCTION

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="sends signals"),
]

# Each secret ends in this word.
WORD = "hunter2"

VIEWS = """
import logging

from django.http import HttpResponse
from django.tasks import task
from django.views.decorators.csrf import csrf_exempt


@csrf_exempt
def sync_fail(request, key=None):
    form = request.POST
    pin = form["password"]
    logging.getLogger("shop").warning("Card %s", {"token": pin})
    raise ValueError(f"redis://:{pin}@cache and smtp://u:{pin}@mail")


@csrf_exempt
async def async_fail(request):
    return sync_fail(request)


def log(request):
    extra = {"api_key": request.headers["X-Api-Key"]}
    logging.getLogger("shop").error("Out of stock", extra=extra)
    return HttpResponse()


@task
def fail_always():
    raise ValueError("The oven is cold.")


urlpatterns += [
    path("sync/", sync_fail),
    path("async/", async_fail),
    path("log/", log),
    path("reset/<key>/", sync_fail),
]
"""


class Receiver(HTTPServer):
    """A server that keeps what is sent to it, as Sentry would."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), ReceiverHandler)
        self.texts = []

    @property
    def env(self):
        return {"SENTRY_DSN": f"http://key@127.0.0.1:{self.server_port}/1"}

    @property
    def items(self):
        """Return the type and the content of each item of each envelope."""
        found = []
        for text in self.texts:
            lines = [json.loads(line) for line in text.splitlines()[1:] if line]
            types = [head["type"] for head in lines[::2]]
            found += zip(types, lines[1::2], strict=True)
        return found

    @property
    def events(self):
        return [content for kind, content in self.items if kind == "event"]

    def wait_for_event(self, log=lambda: ""):
        return wait_until(lambda: self.events, lambda: f"No event.\n{log()}")[-1]


class ReceiverHandler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Encoding"] == "gzip"
        self.server.texts.append(gzip.decompress(body).decode())
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args):
        """Print nothing."""


@pytest.fixture
def receiver():
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def failing(released, tmp_path):
    """Return a released project with views and a task that fail."""
    copy = copy_project(released, tmp_path)
    urls = copy / copy.name / "urls.py"
    urls.write_text(urls.read_text("utf-8") + VIEWS, "utf-8")
    return copy


@pytest.fixture
def site(failing, receiver, serve):
    """Return the address of the failing project, served by serve.py, and the server."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    server = serve(
        [python_of(failing), "scripts/serve.py"],
        cwd=failing,
        env={**PRODUCTION, **receiver.env, "WEB_CONCURRENCY": "1", "PORT": str(port)},
        url=f"{address}/livez",
    )
    return address, server


def post(url):
    """Send a request that contains secrets; return the response."""
    return requests.post(
        url,
        params={"page": "2", "token": f"query-{WORD}"},
        data={"password": f"form-{WORD}", "code": f"code-{WORD}"},
        cookies={"__Host-sessionid": f"session-{WORD}", "other": f"cookie-{WORD}"},
        headers={
            **HTTPS,
            "Host": "localhost",
            "Authorization": f"Bearer {WORD}",
            "X-Api-Key": f"key-{WORD}",
            "X-Forwarded-For": "192.0.2.77",
            "Referer": f"https://localhost/?next={WORD}",
            "User-Agent": "Test",
        },
    )


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_exception_is_sent_without_secrets(site, receiver, failing, kind):
    address, server = site

    response = post(f"{address}/{kind}/")

    assert response.status_code == 500
    event = receiver.wait_for_event(lambda: server.output)
    (exception,) = event["exception"]["values"]
    assert exception["type"] == "ValueError"
    assert exception["stacktrace"]["frames"][-1]["function"] == "sync_fail"
    assert event["tags"]["request_id"] == response.headers["X-Request-ID"]
    assert event["transaction"] == f"/{kind}/"
    assert event["environment"] == "production"
    commit = subprocess.check_output(
        ["git", "rev-parse", "HEAD"], cwd=failing, encoding="utf-8"
    )
    assert event["release"] == commit.strip()
    assert event["request"]["headers"]["user-agent"] == "Test"
    assert "page=2" in event["request"]["query_string"]
    server.stop()
    assert [kind for kind, _ in receiver.items] == ["event"]
    assert WORD not in receiver.texts[0]
    assert "192.0.2.77" not in receiver.texts[0]


def test_key_in_a_path_is_not_sent(site, receiver):
    post(f"{site[0]}/reset/{WORD}/")

    assert receiver.wait_for_event()["request"]["url"] == "/reset/{key}/"
    assert WORD not in receiver.texts[0]


def test_events_of_two_requests_are_separate(site, receiver):
    responses = [post(f"{site[0]}/{kind}/") for kind in ("sync", "async")]

    wait_until(lambda: len(receiver.events) == 2, lambda: str(receiver.events))
    for event, response in zip(receiver.events, responses, strict=True):
        assert event["tags"]["request_id"] == response.headers["X-Request-ID"]
        warnings = [
            crumb
            for crumb in event["breadcrumbs"]["values"]
            if crumb["category"] == "shop"
        ]
        assert len(warnings) == 1


def test_logged_error_is_sent(site, receiver):
    headers = {**HTTPS, "Host": "localhost", "X-Api-Key": WORD}
    requests.get(f"{site[0]}/log/", headers=headers)

    event = receiver.wait_for_event()
    assert event["logentry"]["message"] == "Out of stock"
    assert event["tags"]["request_id"]
    assert WORD not in receiver.texts[0]


def test_environment_and_release_are_configurable(failing, receiver):
    names = {"SENTRY_ENVIRONMENT": "staging", "SENTRY_RELEASE": "42"}

    run(failing, "manage.py", "shell", "-c", "1 / 0", env={**receiver.env, **names})

    event = receiver.wait_for_event()
    assert (event["environment"], event["release"]) == ("staging", "42")


def test_failed_task_is_sent_once_with_its_traceback(failing, receiver, serve):
    settings = failing / failing.name / "settings.py"
    text = settings.read_text("utf-8")
    settings.write_text(
        text.replace('"MAX_ATTEMPTS": 10', '"MAX_ATTEMPTS": 2').replace(
            '"BACKOFF_INITIAL": 15', '"BACKOFF_INITIAL": 0.1'
        ),
        "utf-8",
    )
    enqueue = f"from {failing.name}.urls import fail_always; fail_always.enqueue()"
    run_shell(failing, enqueue)

    worker = serve(
        [python_of(failing), "manage.py", "ox_worker"], cwd=failing, env=receiver.env
    )

    event = receiver.wait_for_event(lambda: worker.output)
    (exception,) = event["exception"]["values"]
    assert exception["value"] == "The oven is cold."
    assert "fail_always" in event["logentry"]["formatted"]
    worker.wait_for_output("failed after 2/2 attempts")
    worker.stop()
    assert len(receiver.events) == 1


def test_command_of_the_deployment_guide_sends_an_error(failing, receiver):
    guide = blocks((failing / "deploy" / "README.md").read_text("utf-8"))
    (command,) = [block.text for block in guide if "1 / 0" in block.text]
    command = command.replace("docker compose exec web ", ".venv/bin/")

    done = subprocess.run(
        ["bash", "-c", command],
        cwd=failing,
        env={**os.environ, **PRODUCTION, **receiver.env},
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )

    assert re.search(r"^ZeroDivisionError: division by zero$", done.stderr, re.M)
    event = receiver.wait_for_event()
    assert event["exception"]["values"][0]["type"] == "ZeroDivisionError"


def test_site_works_while_the_server_of_the_dsn_is_down(failing, serve):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    serve(
        [python_of(failing), "scripts/serve.py"],
        cwd=failing,
        env={
            **PRODUCTION,
            "SENTRY_DSN": f"http://key@127.0.0.1:{free_port()}/1",
            "PORT": str(port),
        },
        url=f"{address}/livez",
    )

    assert [post(f"{address}/sync/").status_code for _ in range(3)] == [500] * 3
    response = requests.get(f"{address}/", headers={**HTTPS, "Host": "localhost"})
    assert response.status_code == 200


def test_sdk_is_not_imported_without_a_dsn(project):
    code = "import sys; print('sentry_sdk' in sys.modules)"

    assert run_shell(project, code).split()[-1] == "False"

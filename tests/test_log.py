"""What the servers print while the site runs: a line a request, and all in one form."""

import json
import os
import re

import pytest
from helpers import fetch, free_port, python_of
from sites import PRODUCTION
from test_project import uvicorn

DEVELOPMENT = {
    "dev.py": "scripts/dev.py --port {port}",
    "uvicorn": "-m uvicorn {slug}.asgi:application --port {port}",
    "runserver": "manage.py runserver {port}",
}
SECRET = "1-c0ffee-of-somebodys"
# Paths, and how they stand in the log.
PATHS = {
    "/": "/",
    "/?q=books": "/",
    "/static/site.css": "/static/site.css",
    "/nowhere/": "/nowhere/",
    f"/accounts/password/reset/key/{SECRET}/": "(?P<key>",
}


@pytest.mark.parametrize("name", DEVELOPMENT)
def test_each_request_is_one_line_while_developing(project, serve, name):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = DEVELOPMENT[name].format(slug=project.name, port=port).split()
    server = serve([python_of(project), *command], project, url=f"{address}/livez")

    ids = [fetch(address + path)[1]["X-Request-ID"] for path in PATHS]

    server.wait_for_output(ids[-1])
    for shown, request_id in zip(PATHS.values(), ids, strict=True):
        (line,) = (line for line in server.lines if request_id in line)
        assert re.match(r"\d\d:\d\d:\d\d INFO GET ", line)
        assert shown in line
    assert server.output.count("GET") == len(PATHS)
    for secret in (SECRET, "books", "/livez"):
        assert secret not in server.output


@pytest.mark.skipif(os.name == "nt", reason="ends the server by a signal")
def test_all_that_production_prints_is_json(released, serve):
    port = free_port()
    address = f"http://localhost:{port}"
    server = serve(
        uvicorn(released, port),
        released,
        {**PRODUCTION, "EMAIL_URL": "smtp://localhost"},
        url=f"{address}/livez",
    )
    headers = {"X-Forwarded-Proto": "https"}
    proxy = {**headers, "X-Forwarded-For": "192.0.2.1"}

    for number, path in enumerate(PATHS):
        fetch(address + path, {**proxy, "X-Request-ID": f"request-{number}"})
    fetch(address, {**headers, "X-Request-ID": "made-up-by-a-stranger"})
    server.process.terminate()
    server.wait()

    lines = [json.loads(line) for line in server.lines]
    assert {line["logger"] for line in lines} == {"uvicorn.error", "pages.middleware"}
    requests = [line for line in lines if "path" in line]
    assert [(line["request_id"], line["status"]) for line in requests[:-1]] == [
        ("request-0", 200),
        ("request-1", 200),
        ("request-2", 200),
        ("request-3", 404),
        ("request-4", 200),
    ]
    assert re.fullmatch("[0-9a-f]{32}", requests[-1]["request_id"])
    for secret in (SECRET, "books", "/livez"):
        assert secret not in server.output

"""The log: one line for each request, readable in development, JSON in production."""

import json
import os
import re

import pytest
from support.project import python_of, uvicorn
from support.server import fetch, free_port
from support.site import HTTPS, PRODUCTION

DEVELOPMENT = {
    "dev.py": "scripts/dev.py --port {port}",
    "uvicorn": "-m uvicorn {slug}.asgi:application --port {port}",
    "runserver": "manage.py runserver {port}",
}
SECRET = "1-c0ffee-of-somebodys"
# Requests, and how their paths are logged.
PATHS = {
    "/": "/",
    "/?q=books": "/",
    "/nowhere/": "/nowhere/",
    f"/accounts/password/reset/key/{SECRET}/": "(?P<key>",
}


@pytest.mark.parametrize("name", DEVELOPMENT)
def test_development_logs_each_page_in_one_line(project, serve, name):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = DEVELOPMENT[name].format(slug=project.name, port=port).split()
    server = serve([python_of(project), *command], project, url=f"{address}/livez")

    for path in ("/static/site.css", "/favicon.ico", "/manifest.webmanifest"):
        fetch(address + path)
    ids = [fetch(address + path)[1]["X-Request-ID"] for path in PATHS]

    server.wait_for_output("(?P<key>")
    lines = [line for line in server.lines if "GET" in line]
    assert len(lines) == len(PATHS), server.output
    for path, line in zip(PATHS.values(), lines, strict=True):
        assert re.match(r"\d\d:\d\d:\d\d INFO GET ", line)
        assert path in line
    for text in (SECRET, "books", "/livez", *ids):
        assert text not in server.output


@pytest.mark.skipif(os.name == "nt", reason="sends a signal")
def test_production_prints_only_json(released, serve):
    port = free_port()
    address = f"http://localhost:{port}"
    server = serve(
        uvicorn(released, port), released, PRODUCTION, url=f"{address}/livez"
    )
    proxy = {**HTTPS, "X-Forwarded-For": "192.0.2.1"}

    paths = [*PATHS, "/static/site.css"]
    for number, path in enumerate(paths):
        fetch(address + path, {**proxy, "X-Request-ID": f"request-{number}"})
    fetch(address, {**HTTPS, "X-Request-ID": "not-from-the-proxy"})
    server.process.terminate()
    server.wait()

    lines = [json.loads(line) for line in server.lines]
    assert {line["logger"] for line in lines} == {"uvicorn.error", "ops.middleware"}
    requests = [line for line in lines if "path" in line]
    assert [(line["request_id"], line["status_code"]) for line in requests[:-1]] == [
        ("request-0", 200),
        ("request-1", 200),
        ("request-2", 404),
        ("request-3", 200),
        ("request-4", 200),
    ]
    assert re.fullmatch("[0-9a-f]{32}", requests[-1]["request_id"])
    for text in (SECRET, "books", "/livez"):
        assert text not in server.output

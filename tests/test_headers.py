"""What the answers of the site tell browsers to do and not to do, in production."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import requests
import trustme
from conftest import copy_project
from helpers import Server, free_port
from sites import PRODUCTION, tls_proxy
from test_project import run, uvicorn
from visitor import need, npm_tool

FAILING_VIEW = """
def fail(request):
    raise ZeroDivisionError


urlpatterns += [path("fail/", fail)]
"""

LOG_IN = """
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client

client = Client()
User = get_user_model()
user = User.objects.create_superuser("ada@example.com", "correct horse battery")
client.force_login(user)
print(client.cookies[settings.SESSION_COOKIE_NAME].value)
"""

ANSWERS = {
    "a page": ("/", 200),
    "a redirect": ("/favicon.ico", 302),
    "a page that is not there": ("/nowhere/", 404),
    "a page that fails": ("/fail/", 500),
    "a static file": ("/static/site.css", 200),
    "a page of the admin": ("/admin/accounts/user/", 200),
}

EVERY_ANSWER = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; "
        "img-src 'self' data:; media-src 'self'; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), "
        "usb=()"
    ),
    "Referrer-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@pytest.fixture(scope="module")
def server(released, tmp_path_factory):
    """Serve a release by plain uvicorn; one of its pages fails."""
    folder = copy_project(released, tmp_path_factory.mktemp("headers"))
    with (folder / folder.name / "urls.py").open("a", encoding="utf-8") as urls:
        urls.write(FAILING_VIEW)
    env = {**PRODUCTION, "EMAIL_URL": "smtp://localhost"}
    log_in = ["manage.py", "shell", "--no-imports", "--command", LOG_IN]
    status, output = run(folder, *log_in, env=env)
    assert status == 0, output
    port = free_port()
    server = Server(uvicorn(folder, port), folder, {**os.environ, **env})
    server.port, server.session = port, output.strip()
    server.wait_until_it_answers(f"http://localhost:{port}/livez")
    yield server
    server.stop()


@pytest.fixture
def ask(server):
    """Return a function that gets an answer as if through a proxy that ends TLS."""

    def ask(path, scheme="https", **headers):
        return requests.get(
            f"http://localhost:{server.port}{path}",
            headers={
                "X-Forwarded-Proto": scheme,
                "Cookie": f"__Host-sessionid={server.session}",
                **headers,
            },
            allow_redirects=False,
        )

    return ask


@pytest.mark.parametrize("kind", ANSWERS)
def test_the_headers_of(ask, kind):
    path, status = ANSWERS[kind]

    response = ask(path)

    assert response.status_code == status
    policy = "Content-Security-Policy"
    # A nonce is another one each time, and only where a page uses it.
    got = {name: response.headers.get(name) for name in EVERY_ANSWER}
    got[policy] = re.sub(r" 'nonce-[\w+/=-]+'", "", got[policy])
    assert got == EVERY_ANSWER


def test_a_visitor_without_tls_is_sent_to_where_it_is(ask):
    response = ask("/", scheme="http")

    assert response.status_code == 301
    assert response.headers["Location"].startswith("https://localhost")


def test_cookies_go_to_this_host_alone_and_over_tls_alone(server, ask):
    page = ask("/accounts/login/", Cookie="")
    csrf = page.headers["Set-Cookie"]
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[1]
    credentials = {"login": "ada@example.com", "password": "correct horse battery"}
    answer = requests.post(
        page.url,
        {"csrfmiddlewaretoken": token, **credentials},
        headers={
            "Cookie": csrf.partition(";")[0],
            "Referer": "https://localhost/",
            "X-Forwarded-Proto": "https",
        },
        allow_redirects=False,
    )
    session = re.search("__Host-sessionid=.*?Secure", answer.headers["Set-Cookie"])[0]

    for cookie in (csrf, session):
        attributes = cookie.split("; ")
        assert attributes[0].startswith("__Host-")
        assert {"Path=/", "SameSite=Lax", "Secure"} <= set(attributes)
        assert "domain" not in cookie.lower()
    assert "HttpOnly" in session


def test_an_error_page_tells_nothing_of_the_error(ask):
    text = ask("/fail/").text

    for word in ("ZeroDivisionError", "Traceback", "settings", "urls.py"):
        assert word not in text


def test_mdns_observatory_gives_an_a_plus(server, tmp_path):
    npm_tool("@mdn/mdn-http-observatory/package.json")
    need(node := shutil.which("node"), "node on PATH")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    script = Path(__file__).with_name("observatory.mjs")

    with tls_proxy([server.port], authority) as port:
        result = subprocess.run(
            [node, script, str(server.port), str(port)],
            env={**os.environ, "NODE_EXTRA_CA_CERTS": str(tmp_path / "authority.pem")},
            stdout=subprocess.PIPE,
            check=True,
        )

    report = json.loads(result.stdout)
    faults = [
        (name, test["result"])
        for name, test in report["tests"].items()
        if not test["pass"]
    ]
    assert faults == []
    assert report["scan"]["grade"] == "A+"

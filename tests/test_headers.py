"""The headers and cookies of responses in production."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import requests
import trustme
from support.project import copy_project, run_shell, uvicorn
from support.server import Server, free_port
from support.site import HTTPS, PRODUCTION, tls_proxy
from support.tools import find_npm_file, find_program

VIEWS = """
from django.http import HttpResponse
from django.views.decorators.clickjacking import xframe_options_exempt


def fail(request):
    raise ZeroDivisionError


@xframe_options_exempt
def embed(request):
    return HttpResponse("Embedded")


urlpatterns += [path("fail/", fail), path("embed/", embed)]
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

RESPONSES = {
    "page": ("/", 200),
    "redirect": ("/favicon.ico", 302),
    "missing page": ("/nowhere/", 404),
    "server error": ("/fail/", 500),
    "static file": ("/static/site.css", 200),
    "admin": ("/admin/accounts/user/", 200),
}

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; "
        "img-src 'self' data:; media-src 'self'; object-src 'none'; base-uri 'none'"
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
    """Return the Server of a release with two more views, and a superuser's session."""
    folder = copy_project(released, tmp_path_factory.mktemp("headers"))
    with (folder / folder.name / "urls.py").open("a", encoding="utf-8") as urls:
        urls.write(VIEWS)
    port = free_port()
    session = run_shell(folder, LOG_IN, PRODUCTION).strip()
    server = Server(uvicorn(folder, port), folder, {**os.environ, **PRODUCTION})
    server.port, server.session = port, session
    server.wait_until_up(f"http://localhost:{port}/livez")
    yield server
    server.stop()


@pytest.fixture
def get(server):
    """Return a function that sends a request as a proxy does that terminates TLS."""

    def get(path, scheme="https", **headers):
        return requests.get(
            f"http://localhost:{server.port}{path}",
            headers={
                "X-Forwarded-Proto": scheme,
                "Cookie": f"__Host-sessionid={server.session}",
                **headers,
            },
            allow_redirects=False,
        )

    return get


@pytest.mark.parametrize("kind", RESPONSES)
def test_security_headers(get, kind):
    path, status = RESPONSES[kind]

    response = get(path)

    assert response.status_code == status
    headers = {name: response.headers.get(name) for name in HEADERS}
    # Pages that use a nonce have a different one in each response.
    policy = "Content-Security-Policy"
    headers[policy] = re.sub(r" 'nonce-[\w+/=-]+'", "", headers[policy])
    assert headers == HEADERS


def test_exempt_view_can_be_embedded_by_other_sites(get):
    headers = get("/embed/").headers

    assert "X-Frame-Options" not in headers
    assert "frame-ancestors" not in headers["Content-Security-Policy"]


def test_http_is_redirected_to_https(get):
    response = get("/", scheme="http")

    assert response.status_code == 301
    assert response.headers["Location"].startswith("https://localhost")


def test_cookies_are_sent_over_tls_and_to_this_host_only(get):
    page = get("/accounts/login/", Cookie="")
    csrf = page.headers["Set-Cookie"]
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[1]
    credentials = {"login": "ada@example.com", "password": "correct horse battery"}
    response = requests.post(
        page.url,
        {"csrfmiddlewaretoken": token, **credentials},
        headers={
            "Cookie": csrf.partition(";")[0],
            "Referer": "https://localhost/",
            **HTTPS,
        },
        allow_redirects=False,
    )
    session = re.search("__Host-sessionid=.*?Secure", response.headers["Set-Cookie"])[0]

    for cookie in (csrf, session):
        assert {"Path=/", "SameSite=Lax", "Secure"} <= set(cookie.split("; "))
        assert "domain" not in cookie.lower()
    assert "HttpOnly" in session
    # The name in Django's documentation, by which JavaScript reads the cookie.
    assert csrf.startswith("csrftoken=")


def test_server_error_page_hides_the_error(get):
    text = get("/fail/").text

    for word in ("ZeroDivisionError", "Traceback", "settings", "urls.py"):
        assert word not in text


@pytest.mark.browser
@pytest.mark.slow
def test_observatory_grade_is_a_plus(server, tmp_path):
    find_npm_file("@mdn/mdn-http-observatory/package.json")
    node = find_program("node")
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
    failed = [
        (name, test["result"])
        for name, test in report["tests"].items()
        if not test["pass"]
    ]
    assert failed == []
    assert report["scan"]["grade"] == "A+"

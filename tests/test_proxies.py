"""The addresses of visitors behind one or two proxies: the guide's page Proxies."""

import os
import re
import sys
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
import requests
from requests.adapters import HTTPAdapter
from support.caddy import caddy, cdn
from support.markdown import blocks
from support.project import copy_project, python_of, run
from support.server import Server, free_port
from support.site import PRODUCTION
from support.template import TREE, render

pytestmark = [
    pytest.mark.services,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="needs all of 127.0.0.0/8"),
    # The certificates of Caddy are from no trusted authority.
    pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning"),
]

NETWORK, CDN_ADDRESS = "127.0.2.0/24", "127.0.2.1"
ATTEMPTS = 13  # ACCOUNT_RATE_LIMITS allows ten failed log-ins a minute for an address.


@pytest.fixture(scope="module")
def guide():
    """Return the guide's example of the CDN's networks, and the line with it for .env."""
    # Without containers, since all servers of this test are on the same machine.
    page = render((TREE / "deploy" / "README.md").read_text("utf-8"), deploy="server")
    (line,) = [b.text for b in blocks(page) if "FORWARDED_ALLOW_IPS=" in b.text]
    return re.search(r"[\d.]+/24", line)[0], line


@pytest.fixture
def start(released, guide, tmp_path):
    """
    Return a function that serves the site behind Caddy behind a CDN.

    It follows the guide's page, or one of its two instructions. It returns the URLs of
    the CDN and of Caddy, and what doctor says about the address of the CDN.
    """
    with ExitStack() as stack:

        def start(in_caddyfile=True, in_env=True):
            example, line = guide
            folder = copy_project(released, tmp_path)
            if in_env:
                with (folder / ".env").open("a", encoding="utf-8") as file:
                    file.write(f"\n{line.replace(example, NETWORK)}")

            def edit(text):
                comment = f"# trusted_proxies {example}"
                assert comment in text
                return text.replace(comment, f"trusted_proxies {NETWORK}")

            port = free_port()
            env = {
                **os.environ,
                **PRODUCTION,
                "PORT": str(port),
                "WEB_CONCURRENCY": "1",
            }
            server = Server([python_of(folder), "scripts/serve.py"], folder, env)
            stack.callback(server.stop)
            server.wait_until_up(f"http://127.0.0.1:{port}/livez")
            origin, _ = stack.enter_context(
                caddy(folder, port, edit if in_caddyfile else str)
            )
            url, certificate = stack.enter_context(cdn(origin, CDN_ADDRESS))

            def doctor():
                command = ("manage.py", "doctor", "--url", url)
                env = {**PRODUCTION, "SSL_CERT_FILE": str(certificate)}
                return run(folder, *command, env=env)[1]

            return SimpleNamespace(url=url, origin=origin, doctor=doctor)

        yield start


class FromAddress(HTTPAdapter):
    """Connections from an address of this machine."""

    def __init__(self, address):
        self.address = address
        super().__init__()

    def init_poolmanager(self, *args, **kwargs):
        source = (self.address, 0)
        super().init_poolmanager(*args, **kwargs, source_address=source)


def is_limited(origin, number, address):
    """
    Fail to log in with an address of one's own, and with a forged one in a header.

    Return whether that was rejected as one attempt too many.
    """
    with requests.Session() as session:
        session.verify = session.trust_env = False
        session.mount("https://", FromAddress(address))
        session.headers["X-Forwarded-For"] = f"192.0.2.{number}"
        url = f"{origin}/accounts/login/"
        session.get(url)
        fields = {
            "login": f"user{number}@example.com",
            "password": "wrong",
            "csrfmiddlewaretoken": session.cookies["csrftoken"],
        }
        response = session.post(url, fields, headers={"Referer": url})
        assert response.status_code == 200
        return "Too many" in response.text


def count_limited(origin, addresses):
    """Return how many of ATTEMPTS to log in are rejected, from a format of addresses."""
    numbers = range(1, ATTEMPTS + 1)
    return sum(is_limited(origin, n, addresses.format(n)) for n in numbers)


def test_visitors_behind_a_cdn_have_their_own_addresses(start):
    site = start()

    assert "this client is seen as 127.0.0.1 over https" in site.doctor()
    assert count_limited(site.url, "127.0.1.{}") == 0
    # One visitor who forges X-Forwarded-For, also without the CDN.
    assert count_limited(site.url, "127.0.1.98") == 3
    assert count_limited(site.origin, "127.0.1.99") == 3


@pytest.mark.parametrize("missing", ["in_caddyfile", "in_env"])
def test_visitors_share_an_address_if_the_cdn_is_not_trusted(start, missing):
    site = start(**{missing: False})

    assert f"this client is seen as {CDN_ADDRESS} over https" in site.doctor()
    assert count_limited(site.url, "127.0.1.{}") == 3

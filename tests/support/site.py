"""A project that is served as in development or as in production."""

import asyncio
import contextlib
import itertools
import os
import re
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path
from urllib.parse import urljoin

import trustme
from aiosmtpd.controller import Controller

from .project import python_of, uvicorn
from .server import Server, accept, copy, fetch, free_port, wait_until

# The variables that production requires.
PRODUCTION = {
    "DEBUG": "false",
    "SECRET_KEY": "fL2xq9Zt-" * 8,
    "ALLOWED_HOSTS": "localhost",
    "CSRF_TRUSTED_ORIGINS": "https://localhost",
    "EMAIL_URL": "smtp://localhost",
}

# The header by which a proxy says that it terminated TLS.
HTTPS = {"X-Forwarded-Proto": "https"}


@dataclass
class Site:
    """
    A project that is being served.

    `env` is what was added to the environment of its processes. `mail()` returns the
    text of all e-mails that it has sent, `log()` what its processes have printed.
    """

    origin: str
    folder: Path
    env: dict[str, str]
    mail: Callable[[], str]
    log: Callable[[], str]

    def manage(self, *command, **env):
        """Run a command of manage.py while the site is served."""
        subprocess.run(
            [python_of(self.folder), "manage.py", *command],
            cwd=self.folder,
            env={**os.environ, **self.env, **env},
            stdout=subprocess.DEVNULL,
            check=True,
        )

    def create_superuser(self, email, password):
        self.manage(
            *("createsuperuser", "--no-input", "--email", email),
            DJANGO_SUPERUSER_PASSWORD=password,
        )

    def find_in_mail(self, address, pattern):
        """Wait for an e-mail to `address` that has a match; return the last match."""

        def find():
            messages = self.mail().split("\nTo: ")
            own = [text for text in messages if text.startswith(address)]
            return re.findall(pattern, "\n".join(own))

        return wait_until(find, lambda: f"No {pattern!r} in:\n{self.mail()}")[-1]


@contextlib.contextmanager
def in_development(folder):
    """Serve the project in `folder` with dev.py, which prints e-mails; yield the Site."""
    command = [python_of(folder), "scripts/dev.py", "--port", str(free_port())]
    server = Server(command, folder, {**os.environ})
    try:
        address = wait_until(
            lambda: re.search(r"http://localhost:\d+", server.output),
            lambda: f"No address was printed:\n{server.output}",
        )
        server.wait_until_up(address[0])

        def output():
            return server.output

        yield Site(address[0], folder, {}, mail=output, log=output)
    finally:
        print(server.output)  # pytest shows it if the test failed.
        server.stop()


@contextlib.contextmanager
def in_production(folder, processes=1, **env):
    """
    Serve the project in `folder` with plain uvicorn and a worker; yield the Site.

    A proxy in front of it terminates TLS, and gives connections to each of the
    `processes` in turn. E-mails are sent over SMTP. `env` adds variables. Static files
    are collected, unless they were before.
    """
    ports = [free_port() for _ in range(processes)]
    commands = [
        *(uvicorn(folder, port) for port in ports),
        [python_of(folder), "manage.py", "ox_worker"],
    ]
    with (
        mail_server() as (mail_port, mail),
        tls_proxy(ports) as port,
        contextlib.ExitStack() as stack,
    ):
        env = {**PRODUCTION, "EMAIL_URL": f"smtp://127.0.0.1:{mail_port}", **env}
        servers = []

        def log():
            return "".join(server.output for server in servers)

        site = Site(f"https://localhost:{port}", folder, env, mail, log)
        if not (folder / "staticfiles").exists():
            site.manage("collectstatic", "--no-input")
        for command in commands:
            servers.append(Server(command, folder, {**os.environ, **env}))
            stack.callback(servers[-1].stop)
        for server, port in zip(servers, ports, strict=False):
            server.wait_until_up(f"http://localhost:{port}/livez")
        try:
            yield site
        finally:
            print(log())  # pytest shows it if the test failed.


def assert_home_and_admin_are_styled(address):
    """Fetch the home page and the admin with each of their style sheets."""
    for path in ("/", "/admin/"):
        status, _, page = fetch(address + path)
        assert status == 200
        sheets = re.findall(r'rel="stylesheet" href="([^"]+)"', page)
        assert sheets, page
        # The admin redirected to the log-in page, which has other style sheets.
        for sheet in (*sheets, "/static/admin/css/base.css"):
            # Vite's server has another address and starts later. It responds to
            # a <link> with CSS only.
            url = urljoin(address, sheet)
            status, headers, text = wait_until(
                lambda url=url: fetch(url, {"Accept": "text/css"}), f"{url} is down"
            )
            assert status == 200
            assert headers.get_content_type() == "text/css"
            assert "{" in text


@contextlib.contextmanager
def mail_server(port=None):
    """Yield the port of an SMTP server, and a function that returns all e-mails' text."""
    parts = []

    class Handler:
        async def handle_DATA(self, server, session, envelope):
            message = message_from_bytes(envelope.content, policy=policy.default)
            text = message.get_body(["plain"]).get_content()
            parts.append(f"\nTo: {message['To']}\n{text}".replace("\r\n", "\n"))
            return "250 OK"

    # Not port 0: the controller connects to the port that it was given.
    port = port or free_port()
    controller = Controller(Handler(), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield port, lambda: "".join(parts)
    finally:
        controller.stop()


@contextlib.contextmanager
def tls_proxy(ports, authority=None):
    """
    Yield the port of https://localhost, a proxy that connects to each of `ports` in turn.

    Like the proxy of a hosting service, it terminates TLS and sets X-Forwarded-Proto
    and X-Forwarded-For. Its certificate is issued by `authority`, by default a new one.
    """
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate = (authority or trustme.CA()).issue_cert("localhost")
    certificate.configure_cert(tls)

    turns = itertools.cycle(ports)

    async def forward(browser, to_browser):
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            site, to_site = await asyncio.open_connection("127.0.0.1", next(turns))
            responses = asyncio.create_task(copy(site, to_browser))
            try:
                while True:
                    head = await browser.readuntil(b"\r\n\r\n")
                    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                    to_site.write(
                        head[:-2]
                        + b"X-Forwarded-Proto: https\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n"
                        + await browser.readexactly(int(length[1]) if length else 0)
                    )
            finally:
                to_site.close()
                await responses

    with accept(forward, ssl=tls) as port:
        yield port

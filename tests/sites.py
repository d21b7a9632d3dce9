"""The project as it is served on a laptop and in production, with what is around it."""

import asyncio
import contextlib
import itertools
import os
import re
import ssl
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path

import trustme
from aiosmtpd.controller import Controller
from helpers import Server, free_port, python_of, wait_until

PRODUCTION = {
    "DEBUG": "false",
    "SECRET_KEY": "fL2xq9Zt-" * 8,
    "ALLOWED_HOSTS": "localhost",
    "CSRF_TRUSTED_ORIGINS": "https://localhost",
}


@dataclass
class Site:
    """A project that is being served: where, from which folder, in which environment.

    `mail()` returns all that it sent so far, as text.
    """

    origin: str
    folder: Path
    env: dict[str, str]
    mail: Callable[[], str]

    def manage(self, *command, **env):
        """Run a command of manage.py beside the server; fail if it does."""
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
        """Return the last match in the mail to `address`, as soon as there is one."""

        def find():
            messages = self.mail().split("\nTo: ")
            own = [text for text in messages if text.startswith(address)]
            return re.findall(pattern, "\n".join(own))

        return wait_until(find, lambda: f"No {pattern!r} came:\n{self.mail()}")[-1]


@contextlib.contextmanager
def in_development(folder):
    """Serve `folder` by its dev.py, which prints the mail; yield the Site."""
    command = [python_of(folder), "scripts/dev.py", "--port", str(free_port())]
    server = Server(command, folder, {**os.environ})
    try:
        address = wait_until(
            lambda: re.search(r"http://localhost:\d+", server.output),
            lambda: f"No address was printed:\n{server.output}",
        )
        server.wait_until_it_answers(address[0])
        yield Site(address[0], folder, {}, lambda: server.output)
    finally:
        server.stop()


@contextlib.contextmanager
def in_production(folder, processes=1):
    """Serve `folder` by plain uvicorn, behind a proxy that ends TLS; yield the Site.

    Its mail goes through the queue and over SMTP. The proxy gives connections to one
    process after the other.
    """
    ports = [free_port() for _ in range(processes)]
    application = f"{folder.name}.asgi:application"
    commands = [
        *(["-m", "uvicorn", application, "--port", str(port)] for port in ports),
        ["manage.py", "worker"],
    ]
    with (
        mail_server() as (mail_port, mail),
        tls_proxy(ports) as port,
        contextlib.ExitStack() as stack,
    ):
        env = {**PRODUCTION, "EMAIL_URL": f"smtp://127.0.0.1:{mail_port}"}
        site = Site(f"https://localhost:{port}", folder, env, mail)
        site.manage("collectstatic", "--no-input")
        servers = []
        for command in commands:
            command = [python_of(folder), *command]
            servers.append(Server(command, folder, {**os.environ, **env}))
            stack.callback(servers[-1].stop)
        for server, port in zip(servers, ports, strict=False):
            server.wait_until_it_answers(f"http://localhost:{port}/livez")
        yield site


@contextlib.contextmanager
def mail_server(port=None):
    """Yield the port of an SMTP server and a function that returns the mail's text."""
    parts = []

    class Handler:
        async def handle_DATA(self, server, session, envelope):
            message = message_from_bytes(envelope.content, policy=policy.default)
            text = message.get_body(["plain"]).get_content()
            parts.append(f"\nTo: {message['To']}\n{text}".replace("\r\n", "\n"))
            return "250 OK"

    # Port 0 would do, but for the controller's own trial connection.
    port = port or free_port()
    controller = Controller(Handler(), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield port, lambda: "".join(parts)
    finally:
        controller.stop()


@contextlib.contextmanager
def tls_proxy(ports, authority=None):
    """Yield the port on which https://localhost is passed on to `ports` in turn.

    As a hosting service's proxy does, it tells the site in headers of each request
    that TLS ends here, and who asks. Its certificate is made for the occasion, by
    `authority` if there is one.
    """
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate = (authority or trustme.CA()).issue_cert("localhost")
    certificate.configure_cert(tls)

    turns = itertools.cycle(ports)

    async def pass_on(browser, to_browser):
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            site, to_site = await asyncio.open_connection("127.0.0.1", next(turns))
            answers = asyncio.create_task(copy(site, to_browser))
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
                await answers

    async def copy(site, to_browser):
        with contextlib.suppress(OSError):
            while part := await site.read(2**16):
                to_browser.write(part)
                await to_browser.drain()
        to_browser.close()

    with asyncio.Runner() as runner:
        server = runner.run(asyncio.start_server(pass_on, "127.0.0.1", 0, ssl=tls))
        loop = runner.get_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            server.close()

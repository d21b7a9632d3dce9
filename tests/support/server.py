"""Programs that run until they are stopped, and requests to them."""

import asyncio
import contextlib
import http.client
import http.server
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

TIMEOUT = 30  # Seconds. Long, so that only what hangs reaches it.


def free_port():
    """Return a port of 127.0.0.1 on which nothing listens at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fetch(url, headers=None):
    """Return the status, headers and text of a page, also of an error page."""
    request = urllib.request.Request(url, headers=headers or {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        response = error
    with response:
        return response.status, response.headers, response.read().decode()


def wait_until(condition, message):
    """
    Call `condition` until it returns a true value; return that value.

    Network errors count as false. Fails after TIMEOUT with `message`, a text or a
    function that returns it.
    """
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if value := condition():
                return value
        time.sleep(0.05)
    raise AssertionError(message() if callable(message) else message)


class Server:
    """A program in a process group of its own; `output` is what it has printed."""

    def __init__(self, command, cwd, env):
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self.lines = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    @property
    def output(self):
        return "".join(self.lines)

    def wait_for_output(self, text):
        """Wait until `text` has been printed."""
        wait_until(
            lambda: text in self.output,
            lambda: f"{text!r} was not printed, but:\n{self.output}",
        )

    def wait_until_up(self, url):
        """Wait until there is a response from `url`, whatever its status."""

        def is_up():
            assert self.process.poll() is None, f"The server ended:\n{self.output}"
            return fetch(url)

        return wait_until(is_up, lambda: f"No response from {url}:\n{self.output}")

    def send(self, sign):
        """Send a signal to the whole process group, as Ctrl-C in a terminal does."""
        os.killpg(self.process.pid, sign)

    def wait(self):
        """Wait for the program to end; return its exit status."""
        try:
            status = self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"The program does not end:\n{self.output}") from None
        self._reader.join(TIMEOUT)
        return status

    def stop(self):
        """End the process group: with SIGTERM or, after 5 seconds, with SIGKILL."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, sign)
            except ProcessLookupError:
                break
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                continue
        self.process.wait()
        self._reader.join(5)


@contextlib.contextmanager
def accept(connect, **options):
    """
    Yield a port; call the coroutine function `connect` for each connection to it.

    `connect` gets a StreamReader and a StreamWriter. `options` are those of
    asyncio.start_server().
    """
    with asyncio.Runner() as runner:
        server = runner.run(asyncio.start_server(connect, "127.0.0.1", 0, **options))
        loop = runner.get_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            server.close()


async def copy(reader, writer):
    """Write all that arrives, and close the connection."""
    with contextlib.suppress(OSError):
        while part := await reader.read(2**16):
            writer.write(part)
            await writer.drain()
    writer.close()


class Handler(http.server.BaseHTTPRequestHandler):
    """A request to a server in a test. Subclasses define do_GET(), for HEAD too."""

    def answer(self, kind, body, length=None):
        """Send a body of a Content-Type; `length` is sent as its Content-Length."""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def log_message(self, *arguments):
        pass

"""Programs that run until they are stopped, and requests to them."""

import contextlib
import http.client
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

"""Where a project keeps its Python, and programs that run until they are stopped."""

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

PATIENCE = 30  # seconds; a bound for a machine that hangs, not a measure of speed


def free_port():
    """Return a port of 127.0.0.1 that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fetch(url, headers=None):
    """Return the status, headers and text of a page; an error page's as well."""
    request = urllib.request.Request(url, headers=headers or {})
    try:
        response = urllib.request.urlopen(request, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        response = error
    with response:
        return response.status, response.headers, response.read().decode()


def wait_until(condition, message):
    """Return the first truthy value of `condition()`; fail after PATIENCE.

    A server that does not answer yet, or that restarts just then, is waited for.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if value := condition():
                return value
        time.sleep(0.05)
    raise AssertionError(message() if callable(message) else message)


def python_of(project):
    """Return the path of the interpreter in a project's environment."""
    folder = "Scripts" if os.name == "nt" else "bin"
    return project / ".venv" / folder / ("python.exe" if os.name == "nt" else "python")


class Server:
    """A program in a process group of its own, with its output kept."""

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
        """Return all that was printed so far."""
        return "".join(self.lines)

    def wait_for_output(self, text):
        """Return once `text` was printed; fail with the output otherwise."""
        wait_until(
            lambda: text in self.output,
            lambda: f"{text!r} was not printed, but:\n{self.output}",
        )

    def wait_until_it_answers(self, url):
        """Return once `url` is served at all; fail with the output otherwise."""

        def answers():
            assert self.process.poll() is None, f"It ended:\n{self.output}"
            return fetch(url)

        return wait_until(answers, lambda: f"No answer from {url}:\n{self.output}")

    def send(self, sign):
        """Send a signal to the program and what it started, as a terminal does."""
        os.killpg(self.process.pid, sign)

    def wait(self):
        """Return the exit status; fail with the output when it does not end."""
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"It does not end:\n{self.output}") from None
        self._reader.join(PATIENCE)
        return status

    def stop(self):
        """End the program and whatever it started, gently first."""
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

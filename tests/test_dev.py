"""scripts/dev.py: its port, restarts, reloads of the page, and how it stops."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import pytest
import requests
from support.project import python_of
from support.server import fetch, free_port, wait_until


@pytest.fixture
def dev(serve, tmp_path):
    """Return a function that starts a project's dev.py from another folder."""

    def dev(project, *options, **env):
        command = [sys.executable, project / "scripts" / "dev.py", *options]
        return serve([str(part) for part in command], tmp_path, env=env)

    return dev


def address_of(server):
    """Wait until the server has printed its address; return it."""
    pattern = re.compile(r"Site +(http\S+/)")
    return wait_until(
        lambda: pattern.search(server.output),
        lambda: f"No address was printed, but:\n{server.output}",
    )[1]


def start(dev, project, *options, **env):
    """Start dev.py on a free port; return the server and its address."""
    server = dev(project, "--port", str(free_port()), *options, **env)
    address = address_of(server)
    server.wait_until_up(f"{address}livez")
    return server, address


@contextlib.contextmanager
def occupied(port, host="127.0.0.1"):
    """Listen on a port, unless another program already does."""
    with socket.socket() as holder:
        with contextlib.suppress(OSError):
            holder.bind((host, port))
            holder.listen()
        yield


class OpenPage:
    """The stream of live-reload events, which the script of an open page reads."""

    def __init__(self, address):
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        connection.request("GET", "/__reload__/events/")
        self.response = connection.getresponse()
        assert self.response.status == 200
        self.events = []
        threading.Thread(target=self._listen, daemon=True).start()
        wait_until(lambda: self.processes, "There are no events.")

    def _listen(self):
        with contextlib.suppress(OSError, http.client.HTTPException):
            for line in self.response:
                if line.startswith(b"data: "):
                    self.events.append(json.loads(line.removeprefix(b"data: ")))

    @property
    def processes(self):
        """Return the ids of the server processes that have sent events."""
        return {event["versionId"] for event in self.events if "versionId" in event}

    @property
    def reloads(self):
        return sum(event["type"] == "reload" for event in self.events)


def replace(path, old, new):
    """Replace text in a file."""
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def replace_by_rename(path, old, new):
    """Replace text in a file as editors do that write a new file and rename it."""
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text(path.read_text("utf-8"), "utf-8")
    replace(draft, old, new)
    draft.replace(path)


def only_line(server):
    """Wait for the program to fail; return its output, which must be one line."""
    assert server.wait() == 1
    assert len(server.lines) == 1, server.output
    return server.output


def test_pages_are_styled_in_a_folder_with_spaces_and_accents(dev, workspace, tmp_path):
    _, address = start(dev, workspace.rename(tmp_path / "Mes Projets é"))

    status, _, page = fetch(f"{address}admin/")
    styles = re.findall(r'href="/(static/[^"]+\.css)"', page)

    assert status == 200
    assert styles
    for style in (*styles, "static/admin/css/base.css"):
        assert fetch(address + style)[0] == 200


def test_only_the_addresses_are_printed(dev, project):
    server, address = start(dev, project)

    shown = [line.strip() for line in server.lines if line.strip()]

    assert shown[:3] == [
        f"Site   {address}",
        f"Admin  {address}admin/",
        "Ctrl-C stops it.",
    ]
    assert shown[3:] == [], server.output


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_next_free_port_is_used_and_printed(dev, project, host):
    port = free_port()
    with occupied(port, host):
        server = dev(project, "--port", str(port))
        address = address_of(server)
        used = urlsplit(address).port

        assert used > port
        assert f"Port {port} is in use; using {used}." in server.output
        server.wait_until_up(f"{address}livez")


def test_taken_port_is_an_error_with_strict_port(dev, project):
    port = free_port()
    with occupied(port):
        server = dev(project, "--port", str(port), "--strict-port")

        assert f"Port {port} is in use" in only_line(server)


def test_no_free_port_is_an_error(dev, project):
    ports = range(65525, 65536)
    with contextlib.ExitStack() as stack:
        for port in ports:
            stack.enter_context(occupied(port))
        server = dev(project, "--port", str(ports[0]))

        assert "65525 to 65535 are in use" in only_line(server)


@pytest.mark.slow
def test_two_servers_started_at_once_use_different_ports(dev, project):
    port = str(free_port())
    servers = [dev(project, "--port", port) for _ in range(2)]

    addresses = {address_of(server) for server in servers}

    assert len(addresses) == 2
    for server, address in zip(servers, map(address_of, servers), strict=True):
        server.wait_until_up(f"{address}livez")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--port", "0"),
        ("--port", "65536"),
        ("--host", "192.0.2.1"),
        ("--host", "no-such-host.invalid"),
    ],
)
def test_invalid_option_is_reported(dev, project, option, value):
    server = dev(project, "--port", str(free_port()), option, value)

    assert value in only_line(server)


@pytest.mark.parametrize("missing", [".venv", ".venv/bin/python"])
def test_missing_environment_is_reported(dev, workspace, missing):
    (workspace / ".venv").unlink()
    if missing != ".venv":
        (workspace / ".venv").mkdir()

    assert "`python scripts/bootstrap.py`" in only_line(dev(workspace))


def test_environment_without_packages_is_reported(dev, workspace):
    shared = (workspace / ".venv").resolve()
    (workspace / ".venv").unlink()
    (workspace / ".venv" / "bin").mkdir(parents=True)
    (workspace / ".venv" / "bin" / "python").symlink_to(shared / "bin" / "python")
    (workspace / ".venv" / "pyvenv.cfg").write_text(
        (shared / "pyvenv.cfg").read_text("utf-8"), "utf-8"
    )

    assert "`python scripts/bootstrap.py`" in only_line(dev(workspace))


def test_unapplied_migrations_are_reported(dev, workspace):
    for file in workspace.glob("db.sqlite3*"):
        file.unlink()

    server, _ = start(dev, workspace)

    assert "unapplied migration(s)" in server.output
    assert "'python manage.py migrate'" in server.output


def count_failed_logins(folder):
    """Return the number of counts of failed log-ins in the cache in db.sqlite3."""
    with contextlib.closing(sqlite3.connect(folder / "db.sqlite3")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return database.execute("SELECT count(*) FROM cache").fetchone()[0]


def fail_to_log_in(address):
    with requests.Session() as session:
        url = f"{address}accounts/login/"
        session.get(url)
        fields = {"login": "ada@example.com", "password": "wrong"}
        fields["csrfmiddlewaretoken"] = session.cookies["csrftoken"]
        return session.post(url, fields).status_code


@pytest.mark.slow
def test_database_may_be_removed_or_replaced_while_the_server_runs(dev, workspace):
    file = workspace / "db.sqlite3"
    manage = python_of(workspace), "manage.py"
    _, address = start(dev, workspace)
    assert fail_to_log_in(address) == 200
    assert count_failed_logins(workspace) > 0

    file.unlink()
    subprocess.run([*manage, "migrate", "-v0"], cwd=workspace, check=True)
    backup = workspace / "backup.sqlite3"
    subprocess.run([*manage, "backup_db", backup], cwd=workspace, check=True)
    assert fail_to_log_in(address) == 200
    assert count_failed_logins(workspace) > 0

    for _ in range(3):
        shutil.copyfile(backup, file)  # As cp does: the file is written, not replaced.
        assert count_failed_logins(workspace) == 0
        assert fail_to_log_in(address) == 200
        assert count_failed_logins(workspace) > 0


def test_browser_is_opened(dev, project, tmp_path):
    browser = tmp_path / "browser.py"
    browser.write_text(
        "import pathlib, sys, urllib.request\n"
        "urllib.request.urlopen(sys.argv[1]).read()\n"
        "pathlib.Path(__file__).with_suffix('.txt').write_text(sys.argv[1])\n"
    )

    server = dev(
        project,
        *("--port", str(free_port()), "--open"),
        BROWSER=f"{sys.executable} {browser} %s",
    )

    opened = browser.with_suffix(".txt")
    wait_until(opened.exists, lambda: f"No browser was opened:\n{server.output}")
    wait_until(
        lambda: opened.read_text() == address_of(server), "Another address was opened."
    )


def test_saved_python_file_restarts_the_server(dev, workspace):
    server, address = start(dev, workspace)
    OpenPage(address)

    replace(workspace / "ops" / "health.py", '"ok"', '"restarted"')

    wait_until(
        lambda: fetch(f"{address}livez")[2] == "restarted", lambda: server.output
    )
    assert "Traceback" not in server.output
    assert "ERROR" not in server.output


def test_saved_env_file_is_read_again(dev, workspace):
    _, address = start(dev, workspace)
    assert fetch(f"{address}nowhere")[2].count("DEBUG = True")

    replace(workspace / ".env", "DEBUG=true", "DEBUG=false")

    wait_until(
        lambda: "DEBUG = True" not in fetch(f"{address}nowhere")[2],
        "The old .env is still used.",
    )


def test_saved_template_reloads_the_page_without_a_restart(dev, workspace):
    server, address = start(dev, workspace)
    page = OpenPage(address)

    replace_by_rename(
        workspace / "templates" / "base.html", "Skip to content", "Jump there"
    )

    wait_until(lambda: page.reloads, lambda: f"No reload:\n{server.output}")
    assert "Jump there" in fetch(address)[2]
    assert OpenPage(address).processes == page.processes


@pytest.mark.slow
def test_saved_static_file_reloads_the_page_without_a_restart(dev, workspace):
    server, address = start(dev, workspace)
    page = OpenPage(address)

    replace(workspace / "static" / "site.css", "{", "{ --saved: 1;")

    wait_until(lambda: page.reloads, lambda: f"No reload:\n{server.output}")
    assert "--saved" in fetch(f"{address}static/site.css")[2]
    assert OpenPage(address).processes == page.processes


@pytest.mark.slow
def test_first_static_file_of_an_app_is_watched(dev, workspace):
    server, address = start(dev, workspace)
    style = workspace / "pages" / "static" / "pages" / "first.css"
    style.parent.mkdir(parents=True)
    style.write_text("a {}")
    url = f"{address}static/pages/first.css"
    wait_until(lambda: fetch(url)[0] == 200, lambda: server.output)

    page = OpenPage(address)
    replace(style, "a", "b")

    wait_until(lambda: page.reloads, lambda: f"No reload:\n{server.output}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "old", "new", "shown"),
    [
        ("pages/views.py", "import platform", "import (", "SyntaxError"),
        # Longer: Python uses the bytecode of a file with the same size and time.
        ("pages/apps.py", '"pages"', '"pages2"', "ModuleNotFoundError"),
        ("{slug}/urls.py", "urlpatterns = [", "urlpatterns = [1,", "urls.E004"),
        (".env", "SECRET_KEY=", "SECRET=", "SECRET_KEY is not set"),
    ],
)
def test_error_is_shown_until_it_is_fixed(dev, workspace, file, old, new, shown):
    path = workspace / file.format(slug=workspace.name)
    original = path.read_text("utf-8")
    replace(path, old, new)
    server, address = start(dev, workspace)

    status, headers, message = fetch(address)

    assert status == 500
    assert shown in message
    assert message in server.output
    assert headers["refresh"]

    path.write_text(original, "utf-8")

    wait_until(lambda: fetch(address)[0] == 200, lambda: server.output)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_server_stops_while_a_page_is_open(dev, project, sign):
    server, address = start(dev, project)
    OpenPage(address)

    if sign == signal.SIGINT:
        server.send(sign)  # As a terminal does, to the whole process group.
    else:
        server.process.send_signal(sign)

    assert server.process.wait(5) == 0
    assert "Traceback" not in server.output
    assert "ERROR" not in server.output
    wait_until(
        lambda: not is_running(server.process.pid), "A process is still running."
    )


def is_running(group):
    """Return whether a process of the group is running."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True

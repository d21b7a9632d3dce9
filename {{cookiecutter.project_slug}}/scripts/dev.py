"""Run the site while you work on it: python scripts/dev.py [--port 8001] [--open].

A saved Python file or .env restarts the server, a saved template or static file
refreshes the open page. The server is uvicorn, as in production.
"""

import argparse
import contextlib
import copy
import errno
import functools
import importlib.util
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
import webbrowser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "{{ cookiecutter.project_slug }}"

# Folders that others fill, beside the hidden ones: nobody edits a file in there.
UNWATCHED = {"__pycache__", "media", "node_modules", "staticfiles"}

if __name__ == "__mp_main__" and os.name == "posix":
    # Ctrl-C reaches the server's process too, and here, before it is up, would
    # print a traceback. The process that started it stops it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def main():
    options = parse_arguments()
    enter_environment()
    os.chdir(ROOT)
    sys.path[0] = str(ROOT)
    # Read by settings.py: the open page is refreshed when we run the server.
    os.environ.setdefault("LIVE_RELOAD", "true")
    listener = listen(options.host, options.port, options.strict_port)

    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    url = f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
    print(f"\n  Site   {url}\n  Admin  {url}admin/\n\nCtrl-C stops it.\n", flush=True)
    if options.open:
        # The socket listens already, so the browser waits for the first answer.
        threading.Thread(target=webbrowser.open, args=[url], daemon=True).start()
    supervise(listener)


def parse_arguments():
    parser = argparse.ArgumentParser(description="Run the site while you work on it.")
    parser.add_argument("--port", type=int, default=8000, help="8000 unless given")
    parser.add_argument("--host", default="127.0.0.1", help="127.0.0.1 unless given")
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    parser.add_argument(
        "--strict-port", action="store_true", help="stop when the port is taken"
    )
    return parser.parse_args()


def enter_environment():
    """Continue in the Python of .venv, so that nobody has to activate it."""
    venv = ROOT / ".venv"
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not ((venv / "pyvenv.cfg").exists() and python.exists()):
        sys.exit("There is no .venv yet: `python scripts/bootstrap.py` makes it.")
    if not ((ROOT / ".env").exists() or "SECRET_KEY" in os.environ):
        sys.exit("There is no .env yet: `python scripts/bootstrap.py` makes it.")
    if Path(sys.prefix).resolve() != venv.resolve():
        command = [str(python), str(Path(__file__).resolve()), *sys.argv[1:]]
        if os.name != "nt":
            os.execv(command[0], command)  # noqa: S606
        # Windows has no exec: wait, and leave Ctrl-C to the one we wait for.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.exit(subprocess.call(command))
    if not importlib.util.find_spec("uvicorn"):
        sys.exit("The .venv is not complete: `python scripts/bootstrap.py` mends it.")


def listen(host, port, strict=False):
    """Return a socket that listens on the port or, if it is taken, on the next."""
    if not 0 < port < 65536:
        sys.exit(f"There is no port {port}: choose one from 1024 to 65535.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    last = port if strict else min(port + 99, 65535)
    for candidate in range(port, last + 1):
        try:
            with socket.socket(family) as probe:
                # Windows and macOS let us take the port of somebody who listens on
                # every address; then the browser might reach either of us.
                if os.name == "posix":
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("", candidate))
            listener = socket.create_server((host, candidate), family=family)
        except OSError as error:
            forbidden = isinstance(error, PermissionError)
            if error.errno == errno.EADDRINUSE or (forbidden and os.name == "nt"):
                continue
            if forbidden:
                sys.exit(f"Port {candidate} needs administrator rights: try 8000.")
            sys.exit(f"{host} is no address of this machine: try --host 127.0.0.1.")
        if candidate != port:
            print(f"Port {port} is taken; using {candidate}.")
        return listener
    if strict:
        sys.exit(f"Port {port} is taken: stop who uses it, or choose another --port.")
    sys.exit(f"The ports {port} to {last} are all taken: choose another --port.")


def supervise(listener):
    """Run the server in a process of its own, and anew when a source is saved."""
    from uvicorn.config import LOGGING_CONFIG, Config
    from uvicorn.supervisors.basereload import BaseReload

    class Reload(BaseReload):
        # Not uvicorn's ChangeReload: that watches .venv too, which takes longer to
        # set up than the site takes to start.
        sources = find_sources()

        def should_restart(self):
            self.pause()
            before, self.sources = self.sources, find_sources()
            return sorted({path for path, _ in before ^ self.sources})

    log_config = copy.deepcopy(LOGGING_CONFIG)
    log_config["loggers"]["uvicorn.error"]["level"] = "WARNING"
    config = Config(
        f"{PROJECT}.asgi:application",
        lifespan="off",
        log_config=log_config,
        reload=True,
        reload_delay=0.4,
        timeout_graceful_shutdown=1,
        workers=1,
    )
    supervisor = Reload(config, functools.partial(serve, config), [listener])
    supervisor.reloader_name = "dev.py"
    supervisor.run()


def find_sources():
    """Return what restarts the server when it changes, each with its time.

    Folders are among it, for Django looks only once for an app's templates/.
    """
    found = set()
    for folder, folders, files in ROOT.walk():
        folders[:] = [name for name in folders if is_watched(name)]
        found.update((folder / name, 0) for name in folders)
        for name in files:
            if name.endswith(".py") or name == ".env":
                with contextlib.suppress(OSError):
                    found.add((folder / name, (folder / name).stat().st_mtime_ns))
    return found


def is_watched(folder):
    return not folder.startswith(".") and folder not in UNWATCHED


def serve(config, sockets):
    """Be the server process."""
    from uvicorn import Server

    class DevServer(Server):
        async def shutdown(self, sockets=None):
            # An open page's stream of events has no end that one could wait for.
            for connection in list(self.server_state.connections):
                cycle = getattr(connection, "cycle", None)
                if cycle and cycle.response_started:
                    connection.transport.close()
            await super().shutdown(sockets)

    config.app = load_application()
    DevServer(config).run(sockets)


def load_application():
    """Return the checked project, or a page that says what is wrong with it."""
    from django.core.management import CommandError

    try:
        application = importlib.import_module(f"{PROJECT}.asgi").application
        check_project()
    except (Exception, SystemExit) as error:
        explained = isinstance(error, (CommandError, SystemExit))
        message = str(error) if explained else traceback.format_exc()
        print(f"{message}\n\nMend it and save: the site comes back.", file=sys.stderr)
        # The page asks again every second, and that is not worth a line each.
        logging.getLogger("uvicorn.access").disabled = True
        return functools.partial(show, message)
    threading.Thread(target=announce_changes, daemon=True).start()
    return application


def check_project():
    """Print what runserver would: failed checks, and migrations to be applied."""
    from django.core.management.base import BaseCommand
    from django.db import DatabaseError, connections

    command = BaseCommand()
    command.check()
    try:
        command.check_migrations()
    except DatabaseError as error:
        print(f"The database does not answer: {error}", file=sys.stderr)
    connections.close_all()


def announce_changes():
    """Send Django's signal for saved files, on which the open page is refreshed."""
    from django.utils.autoreload import file_changed
    from watchfiles import watch

    folders = [p for p in ROOT.iterdir() if p.is_dir() and is_watched(p.name)]
    for changes in watch(*folders):
        for _, path in changes:
            file_changed.send_robust(sender=None, file_path=Path(path))


async def show(message, scope, receive, send):
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"refresh", b"1")]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": message.encode()})


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()

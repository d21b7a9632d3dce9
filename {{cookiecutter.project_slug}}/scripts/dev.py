"""Run the site while you work on it: python scripts/dev.py [--port 8001] [--open].

A saved Python file or .env restarts the server; a saved template or static file
refreshes the open page. The server is uvicorn, as in production.
"""

import argparse
import contextlib
import errno
import functools
import importlib.util
import ipaddress
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

# Folders that programs fill. They are not watched, nor are the hidden ones.
FILLED = {"__pycache__", "media", "node_modules", "staticfiles"}

if __name__ == "__mp_main__" and os.name == "posix":
    # Ctrl-C reaches the server's process as well; before it is up, that would print
    # a traceback. The process that started it stops it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def main():
    parser = argparse.ArgumentParser(description="Run the site while you work on it.")
    parser.add_argument("--host", default="127.0.0.1", help="127.0.0.1 unless given")
    parser.add_argument("--port", type=int, default=8000, help="8000 unless given")
    parser.add_argument(
        "--strict-port", action="store_true", help="stop if the port is taken"
    )
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    options = parser.parse_args()

    enter_environment()
    listener = listen(options.host, options.port, options.strict_port)
    host, port = listener.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified or address.is_loopback:
        # By name, for browsers keep no passkeys for an IP address.
        host = "localhost"
    url = f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
    print(f"\n  Site   {url}\n  Admin  {url}admin/\n\nCtrl-C stops it.\n", flush=True)
    if options.open:
        # The socket listens already, so the browser waits for the first answer.
        threading.Thread(target=webbrowser.open, args=[url], daemon=True).start()
    supervise(listener)


def enter_environment():
    """Go on in the Python of .venv, so that nobody has to activate it."""
    venv = ROOT / ".venv"
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (python.exists() and (venv / "pyvenv.cfg").exists()):
        sys.exit("There is no .venv yet: `python scripts/bootstrap.py` makes it.")
    if Path(sys.prefix).resolve() != venv.resolve():
        command = [str(python), str(Path(sys.argv[0]).resolve()), *sys.argv[1:]]
        if os.name != "nt":
            os.execv(command[0], command)
        # Windows has no exec: wait, and leave Ctrl-C to the one waited for.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.exit(subprocess.call(command))
    if not importlib.util.find_spec("uvicorn"):
        sys.exit("The .venv is not complete: `python scripts/bootstrap.py` mends it.")
    os.chdir(ROOT)
    sys.path[0] = str(ROOT)


def listen(host, port, strict=False):
    """Return a socket that listens on the port or, if it is taken, on the next."""
    if not 0 < port < 65536:
        sys.exit(f"There is no port {port}: choose one from 1024 to 65535.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    last = port if strict else min(port + 99, 65535)
    for candidate in range(port, last + 1):
        try:
            with socket.socket(family) as probe:
                # macOS and Windows would share the port with somebody who listens
                # on every address, and the browser might reach either of us.
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
    """Run the server in a process of its own, and anew when a source was saved."""
    from uvicorn import Config
    from uvicorn.supervisors.basereload import BaseReload

    class Reload(BaseReload):
        # uvicorn's ChangeReload watches .venv too: slow to set up, or out of reach
        # where the system allows fewer watches.
        sources = find_sources()

        def should_restart(self):
            self.pause()
            before, self.sources = self.sources, find_sources()
            return sorted({path for path, _ in before ^ self.sources})

    # Read by settings.py.
    os.environ.setdefault("LIVE_RELOAD", "true")
    config = Config(
        app=None,  # serve() sets it.
        lifespan="off",
        reload=True,
        reload_delay=0.4,
        timeout_graceful_shutdown=1,
        workers=1,
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    supervisor = Reload(config, functools.partial(serve, config), [listener])
    supervisor.reloader_name = "dev.py"
    supervisor.run()


def find_sources():
    """Return what restarts the server when it changes, each with its time."""
    found = set()
    for folder, folders, files in ROOT.walk():
        folders[:] = [name for name in folders if is_watched(name)]
        for name in (*folders, *files):
            path = folder / name
            with contextlib.suppress(OSError):
                if name in {"locale", "static", "templates"}:
                    # Django looks for these when it starts, and not again.
                    found.add((path, None))
                elif name == ".env" or name.endswith(".py"):
                    found.add((path, path.stat().st_mtime_ns))
    return found


def is_watched(folder):
    return not folder.startswith(".") and folder not in FILLED


def serve(config, sockets):
    """Be the server's process."""
    from uvicorn import Server

    class DevServer(Server):
        async def shutdown(self, sockets=None):
            # The open page's stream of events has no end that one could wait for.
            for connection in list(self.server_state.connections):
                cycle = getattr(connection, "cycle", None)
                if cycle and cycle.response_started:
                    connection.transport.close()
            await super().shutdown(sockets)

    config.app = load_application()
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    DevServer(config).run(sockets)


def load_application():
    """Return the project, or an application that says what is wrong with it."""
    from django.core.management import BaseCommand, CommandError
    from django.db import DatabaseError, connections

    try:
        asgi = importlib.import_module("{{ cookiecutter.project_slug }}.asgi")
        # What runserver prints, too: failed checks, migrations to be applied.
        command = BaseCommand()
        command.check()
        try:
            command.check_migrations()
        except DatabaseError as error:
            print(f"The database does not answer: {error}", file=sys.stderr)
        connections.close_all()
    except (Exception, SystemExit) as error:
        explained = isinstance(error, (CommandError, SystemExit))
        message = str(error) if explained else traceback.format_exc()
        print(f"{message}\n\nMend it and save: the site comes back.", file=sys.stderr)
        # The page below asks again every second, which is not worth a line each.
        logging.getLogger("uvicorn.access").disabled = True
    else:
        threading.Thread(target=announce_changes, daemon=True).start()
        return asgi.application

    async def explanation(scope, receive, send):
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"refresh", b"1")]
        await send({"type": "http.response.start", "status": 500, "headers": headers})
        await send({"type": "http.response.body", "body": message.encode()})

    return explanation


def announce_changes():
    """Send Django's signal for saved files, upon which the open page is refreshed."""
    from django.utils.autoreload import file_changed
    from watchfiles import watch

    folders = [p for p in ROOT.iterdir() if p.is_dir() and is_watched(p.name)]
    for changes in watch(*folders):
        for _, path in changes:
            file_changed.send_robust(sender=None, file_path=Path(path))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()

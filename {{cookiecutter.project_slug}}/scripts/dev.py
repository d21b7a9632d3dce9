"""
Run the development server: python scripts/dev.py [--port 8001] [--open]

It is uvicorn. When a Python file or .env is saved, the server restarts. When a template
or a static file is saved, the page in the browser is reloaded.
#: if cookiecutter.frontend == "vite"
It runs Vite's server too.
#: endif
"""

import argparse
import contextlib
import errno
import functools
import importlib
import ipaddress
import logging
import os
import signal
import socket
import sys
import threading
import traceback
import webbrowser
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

# Folders that are not watched, besides hidden ones.
IGNORED_FOLDERS = {"__pycache__", "media", "node_modules", "staticfiles"}

if __name__ == "__mp_main__" and os.name == "posix":
    # Ctrl-C is sent to the server process too, which would print a traceback while it
    # starts. Its parent process stops it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def main() -> None:
    from activate import use_venv

    parser = argparse.ArgumentParser(description="Run the development server.")
    parser.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="default: 8000")
    parser.add_argument(
        "--strict-port", action="store_true", help="stop if the port is in use"
    )
    parser.add_argument("--open", action="store_true", help="open the browser")
    options = parser.parse_args()

    #: if cookiecutter.frontend == "vite"
    from vite import start_vite

    #: endif
    use_venv()
    listener = listen(options.host, options.port, options.strict_port)
    host, port = listener.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified or address.is_loopback:
        # Browsers do not accept passkeys for IP addresses.
        host = "localhost"
    url = f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
    print(f"\n  Site   {url}\n  Admin  {url}admin/\n\nCtrl-C stops it.\n", flush=True)
    if options.open:
        # The browser waits for the first response, as the socket listens already.
        threading.Thread(target=webbrowser.open, args=[url], daemon=True).start()
    #: if cookiecutter.frontend == "vite"
    start_vite(listen("127.0.0.1", 5173))
    #: endif
    supervise(listener)


def listen(host: str, port: int, strict: bool = False) -> socket.socket:
    """Return a socket that listens on the port or, if it is in use, on the next one."""
    if not 0 < port < 65536:
        sys.exit(f"{port} is not a valid port: choose one from 1024 to 65535.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    last = port if strict else min(port + 99, 65535)
    for candidate in range(port, last + 1):
        try:
            with socket.socket(family) as probe:
                # On macOS and Windows, two servers can use the port, if one of them
                # listens on all addresses.
                if os.name == "posix":
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("", candidate))
            listener = socket.create_server((host, candidate), family=family)
        except OSError as error:
            forbidden = isinstance(error, PermissionError)
            if error.errno == errno.EADDRINUSE or (forbidden and os.name == "nt"):
                continue
            if forbidden:
                sys.exit(f"Port {candidate} needs administrator rights: use port 8000.")
            sys.exit(f"{host} is not an address of this machine: use 127.0.0.1.")
        if candidate != port:
            print(f"Port {port} is in use; using {candidate}.")
        return listener
    if strict:
        sys.exit(f"Port {port} is in use: choose another one with --port.")
    sys.exit(f"The ports {port} to {last} are in use: choose another one with --port.")


def supervise(listener: socket.socket) -> None:
    """Run the server in a child process, and restart it when a source was saved."""
    from uvicorn import Config
    from uvicorn.supervisors.basereload import BaseReload

    class Reload(BaseReload):
        # uvicorn's own class watches .venv too, which is slow, or fails where the system
        # limits the number of watches.
        sources = find_sources()

        def should_restart(self):
            self.pause()
            before, self.sources = self.sources, find_sources()
            return sorted({path for path, _ in before ^ self.sources})

    # Read by settings.py.
    os.environ.setdefault("LIVE_RELOAD", "true")
    config = Config(
        app=serve,  # Replaced by serve().
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


def find_sources() -> set[tuple[Path, int | None]]:
    """Return the paths that restart the server, with their modification times."""
    found: set[tuple[Path, int | None]] = set()
    for folder, folders, files in ROOT.walk():
        folders[:] = [name for name in folders if is_watched(name)]
        for name in (*folders, *files):
            path = folder / name
            with contextlib.suppress(OSError):
                if name in {"locale", "static", "templates"}:
                    # Django looks for these folders only when it starts.
                    found.add((path, None))
                elif name == ".env" or name.endswith(".py"):
                    found.add((path, path.stat().st_mtime_ns))
    return found


def is_watched(folder: str) -> bool:
    return not folder.startswith(".") and folder not in IGNORED_FOLDERS


def serve(config: Any, sockets: list[socket.socket]) -> None:
    """Run the server; called in the child process."""
    from uvicorn import Server

    class DevServer(Server):
        async def shutdown(self, sockets=None):
            # The event stream that reloads the page never ends.
            for connection in list(self.server_state.connections):
                cycle = getattr(connection, "cycle", None)
                if cycle and cycle.response_started:
                    connection.transport.close()
            await super().shutdown(sockets)

    config.app = load_application()
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    DevServer(config).run(sockets)


def load_application() -> Any:
    """Return the ASGI application or, if it cannot be loaded, one with the error."""
    from django.core.management import BaseCommand, CommandError
    from django.db import DatabaseError, connections

    try:
        asgi = importlib.import_module("{{ cookiecutter.project_slug }}.asgi")
        # Print failed checks and pending migrations, as runserver does.
        command = BaseCommand()
        command.check()
        try:
            command.check_migrations()
        except DatabaseError as error:
            print(f"The database does not respond: {error}", file=sys.stderr)
        connections.close_all()
    except (Exception, SystemExit) as error:
        explained = isinstance(error, (CommandError, SystemExit))
        message = str(error) if explained else traceback.format_exc()
        print(
            f"{message}\n\nFix the error and save; the server restarts.",
            file=sys.stderr,
        )
        # The page below reloads every second; do not log that.
        logging.getLogger("uvicorn.access").disabled = True
    else:
        threading.Thread(target=send_file_changed, daemon=True).start()
        return asgi.application

    async def show_error(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"refresh", b"1")]
        await send({"type": "http.response.start", "status": 500, "headers": headers})
        await send({"type": "http.response.body", "body": message.encode()})

    return show_error


def send_file_changed() -> None:
    """Send Django's signal file_changed, which reloads the page in the browser."""
    from django.utils.autoreload import file_changed
    from watchfiles import watch

    folders = [p for p in ROOT.iterdir() if p.is_dir() and is_watched(p.name)]
    for changes in watch(*folders):
        for _, path in changes:
            file_changed.send_robust(sender=None, file_path=Path(path))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()

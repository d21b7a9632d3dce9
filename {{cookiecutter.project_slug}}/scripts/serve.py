"""
Run the site in production: python scripts/serve.py, set up by the environment.

HOST, PORT, WEB_CONCURRENCY and FORWARDED_ALLOW_IPS are explained in .env.example. The
port is closed until a worker has loaded the site, and refuses to serve one that is not
fit. SIGTERM answers what has arrived, refuses what comes, and ends. SIGHUP takes up new
code and a new .env: each worker ends when its successor is ready, and stays if that one
does not start. Both go to this process, not to the workers.
"""

import asyncio
import contextlib
import filecmp
import functools
import logging.config
import math
import multiprocessing
import os
import signal
import socket
import sys
import time
from importlib import import_module
from pathlib import Path

try:
    from uvicorn import Config, Server
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    from uvicorn.supervisors import multiprocess
except ModuleNotFoundError:
    from dev import enter_environment

    enter_environment()  # And start anew there.

ROOT = Path(__file__).resolve().parent.parent

# Connections of a worker, idle ones as well. Beyond, it answers 503 at once: a queue
# of so many requests would take longer than visitors wait.
LIMIT_CONCURRENCY = 1000
# Longer than proxies keep an idle connection (nginx and AWS one minute, Caddy two),
# so that none sends a request into a connection that is being closed.
TIMEOUT_KEEP_ALIVE = 130
# Less than the 30 seconds after which Kubernetes kills.
TIMEOUT_GRACEFUL_SHUTDOWN = 25
# For the request that may be on its way to a worker which ends, and for those workers
# to be gone that were told to end before they had started.
TIMEOUT_LAST_REQUEST = 1
TIMEOUT_OTHERS = 0.5
# For a worker to start, and to give a sign of life.
TIMEOUT_WORKER = 30

logger = logging.getLogger("uvicorn.error")


def main():
    os.chdir(ROOT)
    sys.path[0] = str(ROOT)
    module = import_module("{{ cookiecutter.project_slug }}.environment")
    environment = module.Env(ROOT / ".env").ENVIRON
    config = Config(
        None,  # Each worker loads it.
        log_config=None,  # As settings.LOGGING says, instead.
        # Windows' usual loop cannot tell that somebody connects.
        loop="auto" if os.name == "posix" else "asyncio:SelectorEventLoop",
        http=Connection,
        ws="none",  # Django has no websockets. One that asks for some gets a page.
        workers=number(environment, "WEB_CONCURRENCY", available_cpus()),
        forwarded_allow_ips=environment.get("FORWARDED_ALLOW_IPS") or "127.0.0.1,::1",
        server_header=False,
        limit_concurrency=LIMIT_CONCURRENCY,
        timeout_keep_alive=TIMEOUT_KEEP_ALIVE,
        timeout_graceful_shutdown=TIMEOUT_GRACEFUL_SHUTDOWN,
        timeout_worker_healthcheck=TIMEOUT_WORKER,
    )
    host = environment.get("HOST") or "127.0.0.1"
    Workers(config, [bind(host, number(environment, "PORT", 8000))]).run()


def number(environment, name, default):
    """Return a variable that has to be a number from 1 on."""
    value = environment.get(name) or str(default)
    if not (value.isdecimal() and 0 < int(value) < 65536):
        sys.exit(f"{name} cannot be {value!r}: set a number, as in {name}={default}.")
    return int(value)


def available_cpus():
    """Return how many CPUs this process may use: its affinity and its cgroup's limit.

    https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
    """
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    cpus = len(os.sched_getaffinity(0))
    groups = Path("/proc/self/cgroup")
    if groups.exists():
        path = Path("/sys/fs/cgroup", groups.read_text().rpartition("::/")[2].strip())
        for folder in (path, *path.parents):
            limit = folder / "cpu.max"
            if limit.exists() and not limit.read_text().startswith("max"):
                quota, period = map(int, limit.read_text().split())
                cpus = min(cpus, math.ceil(quota / period))
    return cpus


def bind(host, port):
    """Return a socket that has the address, and does not listen yet."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    if os.name == "posix":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        sys.exit(
            f"{host} port {port} cannot be served on ({error.strerror}): "
            "set other values, as in HOST=127.0.0.1 PORT=8001."
        )
    return listener


def configure_logging():
    """Log as the site does: lines about the workers among those of the workers."""
    settings = import_module("{{ cookiecutter.project_slug }}.settings")
    logging.config.dictConfig(settings.LOGGING)


class Workers(multiprocess.Multiprocess):
    """uvicorn's supervisor: it passes signals on, and replaces workers that die."""

    def __init__(self, config, sockets):
        super().__init__(config, sockets)
        self.outdated = []
        self.retired = None

    def init_processes(self):
        """Start one worker, which finds out if the site is fit, and then the others."""
        while len(self.processes) < self.processes_num:
            worker = Worker(self.config, self.sockets)
            worker.start()
            if not self.processes and not worker.wait_until_ready(TIMEOUT_WORKER):
                worker.kill()
                sys.exit(1)
            self.processes.append(worker)
        Worker.forks = False
        # Not before: it takes time, and first of all the site should answer.
        configure_logging()
        host, port = self.sockets[0].getsockname()[:2]
        logger.info(
            "Serving on %s port %d, workers: %d", host, port, len(self.processes)
        )

    def restart_all(self):
        # uvicorn's own would wait here for each worker to end, deaf to signals.
        self.outdated = self.processes.copy()

    def keep_subprocess_alive(self):
        super().keep_subprocess_alive()
        if self.outdated and not (self.retired and self.retired.process.is_alive()):
            self.replace(self.outdated.pop())

    def replace(self, worker):
        if worker not in self.processes:
            return  # It died, and has been replaced.
        successor = Worker(self.config, self.sockets)
        successor.start()
        if successor.wait_until_ready(TIMEOUT_WORKER):
            self.processes[self.processes.index(worker)] = successor
            worker.terminate()
            self.retired = worker
        else:
            successor.kill()
            self.outdated.clear()
            logger.error("The new worker did not start, so the others stay.")

    def terminate_all(self):
        # While any process has it open, the system goes on taking connections.
        for listener in self.sockets:
            listener.close()
        super().terminate_all()


class Worker(multiprocess.Process):
    """A process that serves the site."""

    # What is forked starts sooner than a new Python, and shares memory with it. Only on
    # Linux is that safe, and only until code is loaded here that may be replaced.
    forks = sys.platform == "linux"

    def __init__(self, config, sockets):
        super().__init__(config, sockets)
        if self.forks:
            fork = multiprocessing.get_context("fork")
            self.process = fork.Process(target=self.forked_target, args=[sockets])

    def forked_target(self, sockets):
        for number in multiprocess.SIGNALS:
            signal.signal(number, signal.SIG_DFL)  # Until now, the supervisor's.
        self.target(sockets)

    @functools.cached_property
    def server(self):
        return WorkerServer(self.config)

    def is_alive(self, timeout):
        # In steps: one that is killed while it is asked would be waited for to the end.
        end = time.monotonic() + timeout
        while self.process.is_alive() and time.monotonic() < end:
            if self.ping(1):
                return True
        return False


# What uvicorn's supervisor starts in place of a worker that died.
multiprocess.Process = Worker


class WorkerServer(Server):
    def run(self, sockets=None):
        self.config.app = load_application()
        super().run(sockets)

    async def startup(self, sockets=None):
        await super().startup([])
        self.loop = asyncio.get_running_loop()
        self.listener = sockets[0]
        self.listener.setblocking(False)
        self.listener.listen(self.config.backlog)
        self.loop.add_reader(self.listener, self.accept)

    def accept(self):
        """Take one connection, and leave others to idle workers; uvicorn takes them all."""
        try:
            client, _ = self.listener.accept()
        except BlockingIOError:
            return  # Another worker took it.
        except OSError as error:
            # Too many open files, most likely, and asking on would not close any.
            logger.error("No connection can be taken: %s", error)
            self.loop.remove_reader(self.listener)
            self.loop.call_later(1, self.loop.add_reader, self.listener, self.accept)
            return
        self.loop.create_task(self.connect(client))

    async def connect(self, client):
        connection = functools.partial(
            Connection, self.config, self.server_state, self.lifespan.state
        )
        await self.loop.connect_accepted_socket(connection, client)

    async def shutdown(self, sockets=None):
        """Answer everybody whose connection the system has taken, then end."""
        # Another worker may be about to start, and end without taking any: go on until
        # it has ended, and this one is the last to close the port.
        await asyncio.sleep(TIMEOUT_OTHERS)
        Connection.ending = True
        self.loop.remove_reader(self.listener)
        accepted = []
        with contextlib.suppress(OSError):
            while len(accepted) < self.config.backlog:
                accepted.append(self.listener.accept()[0])
        self.listener.close()
        for client in accepted:
            await self.connect(client)
        await super().shutdown(sockets)


class Connection(HttpToolsProtocol):
    """A connection that may bring one more request when its worker ends."""

    ending = False

    def connection_made(self, transport):
        super().connection_made(transport)
        if self.ending:
            self.shutdown()

    def on_headers_complete(self):
        super().on_headers_complete()
        if self.ending:
            self.cycle.keep_alive = False

    def shutdown(self, patience=TIMEOUT_LAST_REQUEST):
        if self.cycle and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        elif patience > 0:
            # In steps: on a busy machine, the time may be up before the worker has
            # looked at what has arrived.
            self.loop.call_later(0.1, self.shutdown, patience - 0.1)
        else:
            super().shutdown()


def load_application():
    """Return the project's application; end the worker if it is not fit to be served."""
    from django.core.management import BaseCommand, CommandError

    try:
        asgi = import_module("{{ cookiecutter.project_slug }}.asgi")
        from django.conf import settings
        from django.core.checks import WARNING
        from django.db import connections

        if settings.DEBUG:
            sys.exit("DEBUG is on: leave it out, or set DEBUG=false.")
        BaseCommand().check(include_deployment_checks=True, fail_level=WARNING)
        if name := uncollected():
            sys.exit(
                f"Static files are not collected, {name} among them: run "
                "`python manage.py collectstatic --no-input` once per release, with "
                "DEBUG off."
            )
        connections.close_all()
    except CommandError as error:
        sys.exit(f"{error}\n.env.example explains what production needs.")
    return asgi.application


def uncollected():
    """Return the name of a static file that is not as it was collected, or None."""
    from django.apps import apps
    from django.conf import settings
    from django.contrib.staticfiles.finders import get_finders
    from django.contrib.staticfiles.storage import staticfiles_storage

    ignored = apps.get_app_config("staticfiles").ignore_patterns
    seen = set()
    for finder in get_finders():
        for name, storage in finder.list(ignored):
            if name in seen:
                continue  # Another one in front of it is collected.
            collected = Path(settings.STATIC_ROOT, name)
            if not collected.exists() or not filecmp.cmp(storage.path(name), collected):
                return name
            try:
                staticfiles_storage.url(name)
            except ValueError:
                return name  # With DEBUG on it is copied, without its hashed name.
            seen.add(name)
    return None


if __name__ == "__main__":
    main()

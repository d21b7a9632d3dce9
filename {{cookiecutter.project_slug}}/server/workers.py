"""
The worker processes of scripts/serve.py: uvicorn's supervisor and servers.

SIGTERM: stop accepting connections, finish the requests in flight, exit. SIGHUP: load new
code and a new .env, in one worker after the other; no request is lost. HOST, PORT and
WEB_CONCURRENCY are those of the start. Send both to the supervisor, not to its workers.
"""

import asyncio
import functools
import logging.config
import math
import multiprocessing
import os
import socket
import sys
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from uvicorn import Config, Server
from uvicorn.config import STARTUP_FAILURE
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors.multiprocess import Multiprocess, Process

SETTINGS = "{{ cookiecutter.project_slug }}.settings"

# All times are in seconds.
# Longer than proxies keep an idle connection (nginx and AWS 60, Caddy 120), so that none
# sends a request on a connection that is being closed.
TIMEOUT_KEEP_ALIVE = 130
# For the first request of a connection. Clients that say nothing take up no connection.
TIMEOUT_FIRST_REQUEST = 10
# For requests in flight; less than the 30 after which Kubernetes kills.
TIMEOUT_GRACEFUL_SHUTDOWN = 25
# For a request that is on its way to a worker which is stopping.
TIMEOUT_LAST_REQUEST = 1
# For workers that are told to stop before they have started.
TIMEOUT_OTHER_WORKERS = 0.5
# For a worker to start, and to answer a health check.
TIMEOUT_WORKER = 30

logger = logging.getLogger("uvicorn.error")


def main() -> None:
    """Serve the site until a signal ends it."""
    settings = import_module(SETTINGS)
    logging.config.dictConfig(settings.LOGGING)
    raise_file_limit()
    config = Config(
        "server.workers:load_application",
        factory=True,
        log_config=None,  # settings.LOGGING
        # On Windows, uvicorn's default loop has no add_reader().
        loop="auto" if os.name == "posix" else "asyncio:SelectorEventLoop",
        http=Connection,
        workers=settings.WEB_CONCURRENCY or count_cpus(),
        proxy_headers=False,  # load_application() adds them.
        server_header=False,
        timeout_keep_alive=TIMEOUT_KEEP_ALIVE,
        timeout_graceful_shutdown=TIMEOUT_GRACEFUL_SHUTDOWN,
        timeout_worker_healthcheck=TIMEOUT_WORKER,
    )
    Supervisor(config, [bind(settings.HOST, settings.PORT)]).run()


def load_application() -> Any:
    """
    Return the ASGI application behind uvicorn's middleware for proxies.

    The process ends if the configuration is unsafe. Each new worker calls this, so that it
    trusts the proxies of the present .env. Its Config is that of the supervisor's start.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", SETTINGS)
    try:
        asgi = import_module(SETTINGS.replace(".settings", ".asgi"))
        from django.core.checks import WARNING
        from django.core.management import BaseCommand, CommandError
        from django.db import connections

        try:
            command = BaseCommand()
            command.check(include_deployment_checks=True, fail_level=WARNING)
        except CommandError as error:
            sys.exit(f"{error}\n.env.example explains what production needs.")
        connections.close_all()
    except SystemExit as error:
        print(error, file=sys.stderr, flush=True)
        sys.exit(STARTUP_FAILURE)
    settings = import_module(SETTINGS)
    return ProxyHeadersMiddleware(asgi.application, settings.FORWARDED_ALLOW_IPS)


def raise_file_limit() -> None:
    """Allow as many open files, and so connections, as the system permits."""
    if os.name == "posix":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(OSError, ValueError):  # macOS permits fewer than it says.
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def get_max_connections() -> int:
    """Return how many connections a worker accepts: 80 % of its open files."""
    if os.name != "posix":
        return 400  # The limit of select() on Windows is 512.
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft * 8 // 10


def count_cpus() -> int:
    """
    Return how many CPUs this process may use: its affinity and its cgroup's limit.

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


def bind(host: str, port: int) -> socket.socket:
    """Return a bound socket; the first worker that is ready listens on it."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    if os.name == "posix":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        sys.exit(
            f"Cannot listen on {host} port {port} ({error}). Set HOST and PORT, for "
            "example HOST=127.0.0.1 PORT=8001."
        )
    return listener


class Supervisor(Multiprocess):
    """
    uvicorn's supervisor, which starts another class of workers.

    Its methods that start a worker are overridden, written for uvicorn 0.54.
    """

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self.outdated: list[Process] = []
        self.stopping: Process | None = None

    def start_worker(self) -> "Worker":
        worker = Worker(self.config, self.sockets)
        worker.start()
        return worker

    def init_processes(self) -> None:
        """Start one worker, and the others if the site can be served."""
        worker = self.start_worker()
        if not worker.wait_until_ready(TIMEOUT_WORKER, self.should_exit):
            worker.kill()
            sys.exit(1)
        self.processes = [worker]
        self.processes += [self.start_worker() for _ in range(1, self.processes_num)]
        host, port = self.sockets[0].getsockname()[:2]
        logger.info(
            "Serving on %s port %d, workers: %d", host, port, self.processes_num
        )

    def restart_all(self) -> None:
        """Replace the workers one by one; uvicorn's method would block signals."""
        self.outdated = self.processes.copy()

    def keep_subprocess_alive(self) -> None:
        """Replace a dead worker, and the next outdated one."""
        for index, worker in enumerate(self.processes):
            if not worker.is_alive(TIMEOUT_WORKER):
                worker.kill()
                worker.join()
                logger.error("Worker %s died and is replaced.", worker.pid)
                self.processes[index] = self.start_worker()
        is_stopping = self.stopping and self.stopping.process.is_alive()
        if self.outdated and not is_stopping:
            self.replace(self.outdated.pop())

    def replace(self, worker: Process) -> None:
        if worker not in self.processes:
            return  # It died and was replaced.
        successor = self.start_worker()
        if successor.wait_until_ready(TIMEOUT_WORKER, self.should_exit):
            self.processes[self.processes.index(worker)] = successor
            worker.terminate()
            self.stopping = worker
        else:
            successor.kill()
            self.outdated.clear()
            logger.error("The new worker did not start. The old workers stay.")

    def handle_ttin(self) -> None:
        self.processes_num += 1
        self.processes.append(self.start_worker())

    def terminate_all(self) -> None:
        # The system accepts connections as long as any process has the socket open.
        for listener in self.sockets:
            listener.close()
        super().terminate_all()


class Worker(Process):
    """A process that serves the site."""

    @functools.cached_property
    def server(self) -> Server:
        return WorkerServer(self.config)

    def is_alive(self, timeout: float = 5) -> bool:
        """Return whether the worker answers; stop waiting for it when it is killed."""
        deadline = time.monotonic() + timeout
        while self.process.is_alive() and time.monotonic() < deadline:
            if self.ping(1):
                return True
        return False


class WorkerServer(Server):
    """A server that shares the connections with other workers, and loses none."""

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Load the site before the event loop runs, in which it can make no queries."""
        self.config.load()
        super().run(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept one connection at a time; uvicorn would accept all that wait."""
        await super().startup([])
        self.max_connections = get_max_connections()
        self.loop = asyncio.get_running_loop()
        (self.listener,) = sockets or []
        self.listener.setblocking(False)
        self.listener.listen(self.config.backlog)
        self.loop.add_reader(self.listener, self.accept)

    def accept(self) -> None:
        if len(self.server_state.connections) >= self.max_connections:
            return self.pause_accepting("all connections are in use")
        try:
            client, _ = self.listener.accept()
        except BlockingIOError:
            return None  # Another worker was faster.
        except OSError as error:
            return self.pause_accepting(str(error))
        self.loop.create_task(self.connect(client))
        return None

    def pause_accepting(self, reason: str) -> None:
        logger.error("No connections are accepted for a second: %s", reason)
        self.loop.remove_reader(self.listener)
        self.loop.call_later(1, self.resume_accepting)

    def resume_accepting(self) -> None:
        if not self.should_exit:
            self.loop.add_reader(self.listener, self.accept)

    async def connect(self, client: socket.socket) -> None:
        protocol = functools.partial(
            Connection, self.config, self.server_state, self.lifespan.state
        )
        await self.loop.connect_accepted_socket(protocol, client)

    async def on_tick(self, counter: int) -> bool:
        """Exit when the supervisor was killed."""
        supervisor = multiprocessing.parent_process()
        if supervisor and counter % 10 == 0 and not supervisor.is_alive():
            return True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer all clients whose connections the system has accepted, and exit."""
        self.should_exit = True
        # The last worker must accept what is left, so wait until the others have ended.
        await asyncio.sleep(TIMEOUT_OTHER_WORKERS)
        Connection.is_stopping = True
        self.loop.remove_reader(self.listener)
        accepted: list[socket.socket] = []
        with suppress(OSError):
            while len(accepted) < self.config.backlog:
                accepted.append(self.listener.accept()[0])
        self.listener.close()
        for client in accepted:
            await self.connect(client)
        await super().shutdown(sockets)


class Connection(HttpToolsProtocol):
    """A connection that must send a request soon, and may send one during shutdown."""

    is_stopping = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.loop.call_later(TIMEOUT_FIRST_REQUEST, self.close_without_request)
        if self.is_stopping:
            self.shutdown()

    def close_without_request(self) -> None:
        # A websocket, which has no cycle, is not among the connections of this class.
        if self.cycle is None and self in self.connections:
            self.transport.close()

    def on_headers_complete(self) -> None:
        # uvicorn would add trailers, which no proxy has checked, to the headers.
        self.scope["headers"] = self.headers.copy()
        super().on_headers_complete()
        if self.is_stopping and self.cycle:
            self.cycle.keep_alive = False

    def shutdown(self, timeout: float = TIMEOUT_LAST_REQUEST) -> None:
        """Close the connection after its request, or after `timeout` without one."""
        if self.cycle and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        elif timeout > 0:
            # In steps, as a busy worker may not yet have read what has arrived.
            self.loop.call_later(0.1, self.shutdown, timeout - 0.1)
        else:
            super().shutdown()

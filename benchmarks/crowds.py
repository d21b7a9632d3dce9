"""Measure a generated project's server when many clients come at once.

    python benchmarks/crowds.py [bursts] [async] [streams] [silent] [transfers]
    python benchmarks/crowds.py postgresql --database postgres://user@host:port/name

Prints the tables of each name given or, without one, of all but `postgresql`. It needs
what load.py needs, and makes the same project. There are five rounds, or one with --quick:
a figure is their median, or p50 and p99 of all requests. `postgresql` needs an empty
database, which is left with the project's tables.
"""

import argparse
import asyncio
import contextlib
import itertools
import os
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median, quantiles

from load import (
    HEADERS,
    PYTHON,
    Server,
    call,
    describe,
    make_project,
    print_table,
    serving,
)

LARGE = 100 * 2**20  # Bytes.
SLOW = 2**20  # Bytes per second that a slow client reads.
TIMEOUT = 60  # Seconds for a client to get its response.


async def ask(port, path="/", body=0):
    """Send a request on a new connection; return the status and the seconds it took."""
    start = time.perf_counter()
    try:
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(writer):
                writer.write(head("POST" if body else "GET", path, body))
                for _ in range(body // 2**16):
                    writer.write(bytes(2**16))
                    await writer.drain()
                status = await reader.readline()
                await reader.read()
        return status[9:12].decode() or "closed", time.perf_counter() - start
    except (OSError, TimeoutError) as error:
        return type(error).__name__, time.perf_counter() - start


def head(method, path, body=0):
    headers = {
        **HEADERS,
        "Host": "127.0.0.1",
        "Connection": "close",
        "Content-Length": body,
    }
    lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "\r\n"]).encode()


async def ask_together(port, count, path):
    return await asyncio.gather(*(ask(port, path) for _ in range(count)))


async def ask_in_turn(port, count):
    return [await ask(port) for _ in range(count)]


def summarize(responses):
    """Return the statuses with their numbers, and milliseconds at p50 and p99."""
    statuses = Counter(status for status, _ in responses)
    times = [1000 * seconds for _, seconds in responses]
    p99 = quantiles(times, n=100, method="inclusive")[98]
    counts = ", ".join(f"{count} x {name}" for name, count in sorted(statuses.items()))
    return f"{counts} ({median(times):.0f}, {p99:.0f})"


def bursts(project, rounds):
    """100 requests at once of a view that waits 20 ms, on two workers."""
    names = "serve.py", "gunicorn, 32 threads", "granian, 32 threads"
    responses = defaultdict(list)
    with serving(project, names, 2) as servers:
        for _, name in itertools.product(range(5 * rounds), names):
            port = servers[name].port
            responses[name] += asyncio.run(ask_together(port, 100, "/wait/20/"))
            time.sleep(0.3)
    rows = {name: [summarize(responses[name])] for name in names}
    print_table("bursts of 100", ["waits 20 ms"], rows)


def async_views(project, rounds):
    """1,000 requests at once of an async view that waits a second, on one worker."""
    names = "serve.py", "uvicorn, stock ASGI"
    runs = defaultdict(list)
    with serving(project, names, 1) as servers:
        for _, name in itertools.product(range(rounds), names):
            start = time.perf_counter()
            port = servers[name].port
            responses = asyncio.run(ask_together(port, 1000, "/await/1000/"))
            took = time.perf_counter() - start
            runs[name].append((took, summarize(responses), servers[name].memory()))
    rows = {name: [cell(runs[name])] for name in names}
    print_table("1,000 at once", ["async view that waits 1 s"], rows)


def cell(runs):
    took, responses, memory = sorted(runs)[len(runs) // 2]
    return f"**{took:.1f} s**, {responses}, {memory:.0f} MiB"


def streams(project, rounds):
    """3,000 endless async streams, and a page beside them, on one worker."""
    show_held(project, rounds, "3,000 streams", 3000, head("GET", "/stream/"))


def silent(project, rounds):
    """2,600 clients that connect and say nothing, and a page beside them."""
    show_held(project, rounds, "2,600 silent clients", 2600, b"")


def show_held(project, rounds, title, count, request):
    names = "serve.py", "uvicorn, stock ASGI"
    rows = {}
    for name in names:
        with Server(project, name, 1) as server:
            opened, pages = asyncio.run(hold(server.port, count, request, rounds))
            rows[name] = [f"{opened}", summarize(pages), f"{server.memory():.0f} MiB"]
    print_table(title, ["open", "home page", "memory"], rows)


async def hold(port, count, request, rounds):
    """Open connections; return how many stay open, and what others get meanwhile."""
    readers = []
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
            writer.write(request)
            readers.append(reader)
        if request:
            heads = await asyncio.gather(*(reader.readline() for reader in readers))
            readers = [r for r, line in zip(readers, heads) if b" 200 " in line]
        pages = await ask_in_turn(port, 40 * rounds)
        return sum(not reader.at_eof() for reader in readers), pages


def transfers(project, rounds):
    """20 slow downloads of 100 MiB, and 20 uploads of it, on one worker."""
    names = "serve.py", "uvicorn, stock ASGI", "gunicorn, 32 threads"
    (project / "large").write_bytes(bytes(LARGE))
    rows = {}
    for name in names:
        with Server(project, name, 1) as server, watch_memory(server) as downloading:
            asyncio.run(download_slowly(server.port))
        took = []
        with Server(project, name, 1) as server, watch_memory(server) as uploading:
            for _ in range(rounds):
                start = time.perf_counter()
                statuses = asyncio.run(upload(server.port))
                took.append(time.perf_counter() - start)
        rows[name] = [
            f"{max(downloading):.0f} MiB",
            f"**{median(took):.1f} s**, {dict(statuses)}, {max(uploading):.0f} MiB",
        ]
    print_table("20 at once", ["slow downloads: peak", "uploads"], rows)


async def download_slowly(port, seconds=10):
    async def client():
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**16)
        with contextlib.closing(writer):
            writer.write(head("GET", "/download/"))
            end = time.monotonic() + seconds
            while time.monotonic() < end and await reader.read(SLOW // 10):
                await asyncio.sleep(0.1)

    await asyncio.gather(*(client() for _ in range(20)))


async def upload(port):
    responses = await asyncio.gather(*(ask(port, "/upload/", LARGE) for _ in range(20)))
    return Counter(status for status, _ in responses)


@contextlib.contextmanager
def watch_memory(server):
    """Yield a list, to which the MiB of the server are added ten times a second."""
    figures = [server.memory()]
    over = threading.Event()

    def watch():
        while not over.wait(0.1):
            figures.append(server.memory())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield figures
    finally:
        over.set()
        thread.join()


def postgresql(project, rounds, url):
    """32 to 300 clients, two workers, and the pool of connections at its default size."""
    names = "serve.py", "gunicorn, 32 threads"
    env = {"DATABASE_URL": url}
    command = ("manage.py", "migrate", "--run-syncdb")
    call(project / PYTHON, *command, cwd=project, **env)
    paths = {
        "a query": "/read/",
        "a query, then a call of 1 s": "/query-and-wait/1000/",
        "ten remote queries": "/remote/",
    }
    for clients in (32, 100, 300):
        runs = defaultdict(list)
        turns = itertools.product(range(rounds), paths, names)
        for _, what, name in turns:
            # A server goes on with the requests of clients that have left, so each run
            # has a new one.
            with Server(project, name, 2, **env) as server:
                server.ask("/", 32, 3)  # Meanwhile, the second worker has started.
                runs[name, what].append(server.ask(paths[what], clients, 10))
        rows = {name: [describe(runs[name, what]) for what in paths] for name in names}
        print_table(f"{clients} clients, PostgreSQL", paths, rows)


TABLES = {
    "bursts": bursts,
    "async": async_views,
    "streams": streams,
    "silent": silent,
    "transfers": transfers,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    choices = ["all", *TABLES, "postgresql"]
    parser.add_argument("tables", nargs="*", choices=choices, default="all")
    parser.add_argument("--quick", action="store_true", help="one round, not five")
    parser.add_argument("--database", help="an empty PostgreSQL database, as a URL")
    options = parser.parse_args()
    if "postgresql" in options.tables and not options.database:
        parser.error("postgresql needs --database")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    rounds = 1 if options.quick else 5
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder))
        for name in TABLES if "all" in options.tables else options.tables:
            if name == "postgresql":
                postgresql(project, rounds, options.database)
            else:
                TABLES[name](project, rounds)


if __name__ == "__main__":
    main()

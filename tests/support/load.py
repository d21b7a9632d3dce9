"""Many clients at once, who count what they are answered."""

import asyncio
import collections
import contextlib
import re
import threading
import time


async def ask(reader, writer, method, path):
    """Send a request; return its status and whether the connection ends with it."""
    writer.write(
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
        "X-Forwarded-Proto: https\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    await reader.readexactly(int(length[1]) if length else 0)
    return int(head.split()[1]), b"\r\nconnection: close\r\n" in head.lower()


async def client(port, requests, going, statuses):
    """Ask for one page after the other while `going()`; count the answers."""
    while going():
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError as error:
            statuses[type(error).__name__] += 1
            await asyncio.sleep(0.1)
            continue
        try:
            ended = False
            while going() and not ended:
                status, ended = await ask(reader, writer, *next(requests))
                statuses[status] += 1
        except (OSError, asyncio.IncompleteReadError) as error:
            # Not while connecting: a request was lost.
            statuses[f"lost: {type(error).__name__}"] += 1
        finally:
            writer.close()


def load(port, seconds, *clients):
    """Return how often each status, or error, was the answer to all `clients` at once.

    A client is an endless iterator of methods and paths.
    """
    until = time.monotonic() + seconds
    statuses = collections.Counter()
    asyncio.run(everybody(port, clients, lambda: time.monotonic() < until, statuses))
    return statuses


@contextlib.contextmanager
def under_load(port, *clients):
    """Keep `clients` asking in the block; yield the count, as `load` returns it."""
    over = threading.Event()
    statuses = collections.Counter()
    thread = threading.Thread(
        target=lambda: asyncio.run(
            everybody(port, clients, lambda: not over.is_set(), statuses)
        )
    )
    thread.start()
    try:
        yield statuses
    finally:
        over.set()
        thread.join()


async def everybody(port, clients, going, statuses):
    await asyncio.gather(
        *(client(port, requests, going, statuses) for requests in clients)
    )

"""Many clients at once, who count what they are answered."""

import asyncio
import collections
import re
import time


async def ask(reader, writer, method, path):
    """Send a request over a connection that is kept; return the status."""
    writer.write(
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
        "X-Forwarded-Proto: https\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    await reader.readexactly(int(length[1]) if length else 0)
    return int(head.split()[1])


async def client(port, requests, until, statuses):
    """Ask for one page after the other until the time is up; count the answers."""
    while time.monotonic() < until:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError as error:
            statuses[type(error).__name__] += 1
            await asyncio.sleep(0.1)
            continue
        try:
            while time.monotonic() < until:
                statuses[await ask(reader, writer, *next(requests))] += 1
        except (OSError, asyncio.IncompleteReadError) as error:
            statuses[type(error).__name__] += 1
        finally:
            writer.close()


def load(port, seconds, *clients):
    """Return how often each status, or error, was the answer to all `clients` at once.

    A client is an endless iterator of methods and paths.
    """

    async def everybody():
        statuses = collections.Counter()
        until = time.monotonic() + seconds
        await asyncio.gather(
            *(client(port, requests, until, statuses) for requests in clients)
        )
        return statuses

    return asyncio.run(everybody())

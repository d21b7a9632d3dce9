"""
An ASGI handler that is faster than Django's under uvicorn.

For each request, Django's handler starts a thread, with a new database connection, and
changes several times between it and the event loop. This handler changes once: it runs
the middleware and the view in a thread of a pool, as a WSGI server does.

An `async def` view runs on the event loop. Its thread waits for it and runs its
synchronous code, such as queries. It is from another pool, so that async views do not
keep other requests waiting. An async response is streamed without a thread.

A task that outlives its async view cannot make queries, unless it is created with
`asyncio.create_task(..., context=contextvars.Context())`. Django's task queue is made for
such work.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import closing, suppress
from inspect import iscoroutinefunction
from typing import Any

import django
from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async
from django.core import signals
from django.core.exceptions import BadRequest, RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.db import close_old_connections, connections
from django.http import (
    FileResponse,
    HttpResponse,
    HttpResponseBadRequest,
    StreamingHttpResponse,
)
from django.urls import resolve, set_script_prefix

from .threads import ThreadPool

MAX_THREADS = 64
MAX_ASYNC_THREADS = 1000
# A thread that waits too long for a connection of a database pool raises PoolTimeout.
MAX_THREADS_PER_CONNECTION = 4
# Bytes. A file of up to this size is read at once, a larger one in such blocks.
FILE_BLOCK_SIZE = 2**20


def get_asgi_application() -> "Handler":
    """Set Django up and return the handler, like the function of django.core.asgi."""
    django.setup(set_prefix=False)
    return Handler()


class Handler(ASGIHandler):
    """Django's ASGIHandler, with the synchronous middleware chain of its WSGIHandler."""

    def __init__(self) -> None:
        super().__init__()
        self.threads = ThreadPool(get_max_threads())
        # These threads wait, whatever CPU the process uses.
        self.async_threads = ThreadPool(MAX_ASYNC_THREADS, max_cpu=float("inf"))
        # For the queries of async responses.
        self.stream_thread = ThreadPool(1)

    def load_middleware(self, is_async: bool = False) -> None:
        """Load a synchronous chain, where Django's handler loads an asynchronous one."""
        super().load_middleware(is_async=False)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle the lifespan and refuse websockets; Django raises ValueError."""
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            for pool in (self.threads, self.async_threads, self.stream_thread):
                await asyncio.to_thread(pool.shutdown)
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            # Servers start a request in the context of the one before it, from which
            # this context hides what asgiref has stored there.
            async with ThreadSensitiveContext(executor=self.stream_thread):
                # Tools for monitoring wrap Django's method.
                await super().__call__(scope, receive, send)

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """Run the request in a thread; Django's handler runs it on the event loop."""
        try:
            body_file = await self.read_body(receive)
        except RequestAborted:
            return
        is_async = is_async_view(scope)
        # asgiref accepts any executor, but its annotation does not.
        pool: Any = self.async_threads if is_async else self.threads
        respond = sync_to_async(self.respond, thread_sensitive=False, executor=pool)
        with closing(body_file):
            if is_async:
                response = await until_disconnect(respond(scope, body_file), receive)
            else:
                response = await respond(scope, body_file, receive, send)
            if response and response.streaming:
                try:
                    await self.send_stream(response, receive, send)
                finally:
                    await asyncio.shield(sync_to_async(response.close)())
            elif response:
                await self.send_response(response, send)

    def respond(
        self, scope: Any, body_file: Any, receive: Any = None, send: Any = None
    ) -> Any:
        """
        Return the response of a request. Called in a thread.

        The stream of a synchronous view is sent from here, since its database cursor
        belongs to this thread. In this case, None is returned.
        """
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        response: Any = None
        try:
            request, response = self.create_request(scope, body_file)
            if request:
                response = self.get_response(request)
                response._handler_class = self.__class__
            if isinstance(response, FileResponse):
                response.block_size = FILE_BLOCK_SIZE
                size = int(response.get("Content-Length") or FILE_BLOCK_SIZE + 1)
                if size <= FILE_BLOCK_SIZE:
                    with closing(response):
                        return read_file(response)
            if send and response.streaming and not response.is_async:
                # As long as it takes, other requests may have a thread more.
                self.threads.detach_thread()
                with closing(response):
                    async_to_sync(self.send_stream)(response, receive, send)
                return None
            return response
        finally:
            if response is None:
                signals.request_finished.send(sender=self.__class__)
            elif response.streaming:
                close_old_connections()  # Another thread closes the response.
            else:
                response.close()

    def create_request(self, scope: Any, body_file: Any) -> Any:
        """Return a request, or None and an error; Django raises some errors."""
        try:
            return super().create_request(scope, body_file)
        except BadRequest:
            return None, HttpResponseBadRequest()

    async def send_stream(
        self, response: StreamingHttpResponse, receive: Any, send: Any
    ) -> None:
        """Send a streaming response until the client disconnects."""
        if not response.is_async:
            parts: Any = response.streaming_content
            response.streaming_content = iterate(iter(parts))
        await until_disconnect(self.send_response(response, send), receive)


def get_max_threads() -> int:
    """Return the maximum number of threads, which depends on the database pools."""
    sizes = [MAX_THREADS]
    for database in connections.settings.values():
        pool = database.get("OPTIONS", {}).get("pool")
        if isinstance(pool, dict):
            sizes.append(MAX_THREADS_PER_CONNECTION * pool.get("max_size", 4))
    return min(sizes)


def is_async_view(scope: Any) -> bool:
    """
    Return whether the view of a request is asynchronous.

    False is safe where the URL is not resolved until a middleware has chosen a URLconf
    or a language: the view then runs on the event loop, and its thread is from the pool
    of the others.
    """
    with suppress(Exception):
        path = scope["path"].removeprefix(get_script_prefix(scope).rstrip("/"))
        return iscoroutinefunction(resolve(path).func)
    return False


async def iterate(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the parts of a stream, each read in the thread that sends it."""
    read = sync_to_async(lambda: next(parts, None))
    while (part := await read()) is not None:
        yield part


async def until_disconnect(call: Awaitable[Any], receive: Any) -> Any:
    """Return the result of `call`, or cancel it and return None on a disconnect."""
    try:
        async with asyncio.timeout(None) as timeout:
            listener = asyncio.create_task(expire(timeout, receive))
            try:
                return await call
            finally:
                listener.cancel()
    except TimeoutError:
        if not timeout.expired():
            raise
        return None


async def expire(timeout: asyncio.Timeout, receive: Any) -> None:
    """Let `timeout` expire when the client disconnects."""
    await receive()
    timeout.reschedule(0)


def read_file(response: FileResponse) -> HttpResponse:
    """Return a response with the same headers that contains the whole file."""
    copy = HttpResponse(
        b"".join(response), status=response.status_code, headers=response.headers
    )
    copy.cookies = response.cookies
    return copy

"""
An ASGI handler that is faster than Django's under uvicorn.

Django's handler changes between the event loop and a thread several times for each
request, and it starts a new thread, with a new database connection, for each request.
This handler changes once: it runs the middleware and the view in a thread of a pool.

An `async def` view runs on the event loop. Its synchronous code, the middleware and
queries, runs in a thread of a second pool, which waits for the view.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing, suppress
from inspect import iscoroutinefunction
from typing import Any

import django
from asgiref.sync import sync_to_async
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.db import close_old_connections
from django.http import FileResponse, HttpResponse, HttpResponseBase
from django.urls import resolve, set_script_prefix

from .threads import ThreadPool

MAX_THREADS = 64
# A thread of an `async def` view waits for it and uses no CPU.
MAX_ASYNC_THREADS = 1000
# A file of up to this size, in bytes, is read at once; a larger one in such blocks.
FILE_BLOCK_SIZE = 2**20


def get_asgi_application() -> "Handler":
    """Set Django up; return the handler. The same as in django.core.asgi."""
    django.setup(set_prefix=False)
    return Handler()


class Handler(ASGIHandler):
    """Django's ASGIHandler, with the synchronous middleware chain of WSGIHandler."""

    def __init__(self) -> None:
        super().__init__()
        self.threads = ThreadPool(MAX_THREADS)
        self.async_threads = ThreadPool(MAX_ASYNC_THREADS, busy=float("inf"))

    def load_middleware(self, is_async: bool = False) -> None:
        """Load a synchronous chain, which runs in one thread; Django's is async."""
        super().load_middleware(is_async=False)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle the lifespan too, which Django's handler does not."""
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            for pool in (self.threads, self.async_threads):
                await asyncio.to_thread(pool.shutdown)
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "http":
            await self.handle(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """Run the request in a thread. Django's handler runs it on the event loop."""
        try:
            body_file = await self.read_body(receive)
        except RequestAborted:
            return
        with closing(body_file):
            if is_async_view(scope):
                respond = run_in(self.async_threads, self.respond, scope, body_file)
                response = await until_disconnect(respond, receive)
            else:
                response = await run_in(self.threads, self.respond, scope, body_file)
            if response and response.streaming:
                await self.stream(response, receive, send)
            elif response:
                await self.send_response(response, send)

    def respond(self, scope: Any, body_file: Any) -> HttpResponseBase:
        """Return the response of a request, in a thread, as WSGIHandler does."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        response = None
        try:
            request, response = self.create_request(scope, body_file)
            if request:
                response = self.get_response(request)
                response._handler_class = self.__class__
            if isinstance(response, FileResponse):
                response.block_size = FILE_BLOCK_SIZE
                size = int(response.get("Content-Length", FILE_BLOCK_SIZE + 1))
                if size <= FILE_BLOCK_SIZE:
                    with closing(response):
                        return read_file(response)
            if not response.streaming:
                response.close()
            return response
        except BaseException:
            if response is None:
                signals.request_finished.send(sender=self.__class__)
            raise
        finally:
            # Another thread may send the response: this one keeps no connection.
            close_old_connections()

    async def stream(self, response: HttpResponseBase, receive: Any, send: Any) -> None:
        """Send a streaming response; stop when the client disconnects."""
        pool = self.threads
        if not response.is_async and not isinstance(response, FileResponse):
            # All parts must come from the same thread, as its connection is its own.
            pool = ThreadPool(max_threads=1)
        if not response.is_async:
            parts = iter(response.streaming_content)
            response.streaming_content = iterate(pool, parts)
        try:
            await until_disconnect(self.send_response(response, send), receive)
        finally:
            await asyncio.shield(run_in(pool, response.close))
            if pool is not self.threads:
                pool.shutdown(timeout=0)


def is_async_view(scope: Any) -> bool:
    """
    Return whether the view of a request is asynchronous.

    A middleware may choose another URLconf or language: this is then wrong, and the
    view runs in a thread of the other pool.
    """
    with suppress(Exception):
        path = scope["path"].removeprefix(get_script_prefix(scope).rstrip("/"))
        return iscoroutinefunction(resolve(path).func)
    return False


async def run_in(pool: ThreadPool, function: Callable[..., Any], *args: Any) -> Any:
    """Return the result of a function that is called in a thread of the pool."""
    in_thread = sync_to_async(function, thread_sensitive=False, executor=pool)
    return await in_thread(*args)


async def iterate(pool: ThreadPool, parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the parts of a response, each read in a thread of the pool."""
    end = object()
    while (part := await run_in(pool, next, parts, end)) is not end:
        yield part


async def until_disconnect(call: Awaitable[Any], receive: Any) -> Any:
    """Return the result of `call`, or None if the client disconnects before."""
    # Not as a task: `call` must share the context variables of this one.
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
    """Cancel what runs under `timeout` when the client disconnects."""
    await receive()
    timeout.reschedule(0)


def read_file(response: FileResponse) -> HttpResponse:
    """Return a response with the same headers that contains the whole file."""
    copy = HttpResponse(
        b"".join(response), status=response.status_code, headers=response.headers
    )
    copy.cookies = response.cookies
    return copy

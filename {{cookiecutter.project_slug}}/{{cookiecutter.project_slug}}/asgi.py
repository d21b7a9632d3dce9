"""
The way in for the web server: `uvicorn {{ cookiecutter.project_slug }}.asgi:application`.

Under ASGI, Django hops between the event loop and a new thread many times a request,
and a new thread means a new database connection. This handler hops once, to a thread
that is kept with its connections, and runs the synchronous middleware there, as under
a WSGI server. An `async def` view runs on the event loop all the same, while its thread
waits and makes its queries; what it streams comes from the loop and holds no thread.

One thread is fastest, for two of Python's threads take turns, and a turn costs time;
hence the thread gives its answers to the event loop a few at a time. More threads are
started while requests wait and the processor does not, so that slow views and open
streams hold up nobody.

What it costs: request_finished is sent when a response is complete, not when the client
has it (streams aside), so that slow clients hold no thread and no connection. And an
asyncio task that outlives its async view can make no queries: put it into the queue.
The way back: `application = django.core.asgi.get_asgi_application()`.
"""

# ruff: noqa: E402
import gc

# What loading makes is there to stay: not to look for garbage in it, now or at any later
# time, saves a tenth of the start and time of each request.
gc.disable()

import asyncio
import os
import sys
import time
from collections import deque
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock, Thread, current_thread

import django
from asgiref.sync import AsyncToSync, async_to_sync, sync_to_async
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.db import close_old_connections, connections
from django.http import FileResponse, HttpResponse
from django.urls import set_script_prefix


class Threads(Executor):
    """Runs what is submitted in one thread or, while that stands still, in more."""

    # Seconds: until those who wait may get another thread, until they do although the
    # processor is busy, until that thread ends while others work, and how much work
    # gives its results back together.
    patience = 0.02
    utmost_patience = 0.1
    term = 1
    batch = 0.004
    limit = 1000  # threads, for a view goes on when its client has left

    def __init__(self):
        self.queue = SimpleQueue()
        self.results = deque()
        self.alive = set()
        self.post = Lock()  # of the one thread that waits for what comes
        self.moved = self.delivered = 0  # when, by time.monotonic()
        self.is_watched = self.is_over = False

    def submit(self, function):
        self.queue.put((future := Future(), function))
        if not self.alive:
            self.start()
        if not self.is_watched:
            self.watch(time.process_time())
        return future

    def end(self):
        """Wait until all threads have done what they do, and ended."""
        self.is_over = True
        threads = self.alive.copy()
        for _ in threads:
            self.queue.put((Future(), bool))  # Who waits for work would go on waiting.
        for thread in threads:
            thread.join()

    def watch(self, cpu_time):
        self.is_watched = True
        asyncio.get_running_loop().call_later(self.patience, self.relieve, cpu_time)

    def relieve(self, cpu_time):
        """Start threads for those who wait, unless what they lack is the processor."""
        self.is_watched = False
        if waiting := self.queue.qsize():
            now = time.process_time()
            stuck = time.monotonic() - self.moved > self.utmost_patience
            if stuck or now - cpu_time < self.patience / 2:
                alive = len(self.alive)
                for _ in range(min(waiting, alive or 1, self.limit - alive)):
                    self.start()
            self.watch(now)
        self.deliver()

    def start(self):
        thread = Thread(target=self.work, daemon=True)
        self.alive.add(thread)
        thread.start()

    def work(self):
        end = time.monotonic() + self.term
        while self.serve() and not self.is_over:
            if time.monotonic() > end and len(self.alive) > 1:
                break
        self.deliver()
        self.alive.discard(current_thread())
        connections.close_all()

    def serve(self):
        """Do what is next; return False if there is nothing and another one waits."""
        try:
            future, function = self.queue.get_nowait()
        except Empty:
            self.deliver()
            if not self.post.acquire(blocking=False):
                return False
            future, function = self.queue.get()
            self.post.release()
        self.moved = time.monotonic()
        if future.set_running_or_notify_cancel():
            try:
                self.results.append(partial(future.set_result, function()))
            except BaseException as error:
                future.set_exception(error)
        if time.monotonic() > self.delivered + self.batch:
            self.deliver()
        return True

    def deliver(self):
        self.delivered = time.monotonic()
        with suppress(IndexError):
            while True:
                self.results.popleft()()


class Handler(ASGIHandler):
    file_block_size = 2**20  # A file up to this size is sent as a page is, in one go.

    def __init__(self):
        super().__init__()
        self.threads = Threads()
        self.in_thread = sync_to_async(
            self.respond, thread_sensitive=False, executor=self.threads
        )

    def load_middleware(self, is_async=False):
        super().load_middleware(is_async=False)

    async def __call__(self, scope, receive, send):
        if scope["type"] != "lifespan":
            return await super().__call__(scope, receive, send)
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(self.threads.end)
        await send({"type": "lifespan.shutdown.complete"})

    async def handle(self, scope, receive, send):
        # Servers start a request in the context of the one before it, whose is over.
        AsyncToSync.executors.current = None
        try:
            body_file = await self.read_body(receive)
        except RequestAborted:
            return
        unfinished = []
        try:
            async with asyncio.timeout(None) as presence:
                leaving = asyncio.create_task(expire(presence, receive))
                response = await self.in_thread(
                    scope, body_file, send, leaving, unfinished
                )
                if response:
                    await self.send_response(response, send)
        except TimeoutError:
            if not presence.expired():
                raise
        finally:
            leaving.cancel()
            for response in unfinished:
                finish = sync_to_async(self.finish)
                await asyncio.shield(finish(body_file, response))

    def respond(self, scope, body_file, send, leaving, unfinished):
        """Return the response if it is for the event loop to send, which is faster."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=type(self), scope=scope)
        response = None
        try:
            request, response = self.create_request(scope, body_file)
            if request:
                response = self.get_response(request)
                response._handler_class = type(self)
            if leaving.done():
                return None
            if not response.streaming:
                return response
            if response.is_async:
                unfinished.append(response)
                return response
            if isinstance(response, FileResponse):
                response.block_size = self.file_block_size
                size = int(response.get("Content-Length", sys.maxsize))
                if size <= self.file_block_size:
                    return whole(response)
            response.streaming_content = stream(response.streaming_content, leaving)
            async_to_sync(self.send_response)(response, send)
        finally:
            if unfinished:
                close_old_connections()
            else:
                self.finish(body_file, response)

    def finish(self, body_file, response):
        if response:
            response.close()
        else:
            signals.request_finished.send(sender=type(self))
        body_file.close()


async def expire(presence, receive):
    """End the block that asyncio.timeout() guards when the client leaves."""
    await receive()
    presence.reschedule(0)


async def stream(parts, leaving):
    end = object()
    while not leaving.done():
        if (part := await sync_to_async(next)(parts, end)) is end:
            leaving.cancel()  # Servers say that a client has left when all is sent.
            return
        yield part


def whole(response):
    """Return a response like this one that does not stream."""
    copy = HttpResponse(
        b"".join(response), status=response.status_code, headers=response.headers
    )
    copy.cookies = response.cookies
    return copy


os.environ.setdefault(
    "DJANGO_SETTINGS_MODULE",
    "{{ cookiecutter.project_slug }}.settings",
)
django.setup(set_prefix=False)
application = Handler()
gc.freeze()
gc.enable()

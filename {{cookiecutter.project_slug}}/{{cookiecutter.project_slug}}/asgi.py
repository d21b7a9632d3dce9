"""
The way in for the web server: `uvicorn {{ cookiecutter.project_slug }}.asgi:application`.

Under ASGI, Django hops between the event loop and a new thread many times a request,
and a new thread means a new database connection. This handler hops once, to a thread
that is kept with its connections, and runs the synchronous middleware there, as under
a WSGI server. An `async def` view runs on the event loop all the same, while its thread
waits and makes its queries; what it streams comes from the loop and holds no thread.

Few threads are fastest. More are started while requests wait and the processor does
not, so that slow views and open streams hold up nobody, and end when not needed.

What it costs: request_finished is sent when a response is complete, not when the client
has it (streams aside), so that slow clients hold no thread and no connection. And an
asyncio task that outlives its async view can make no queries: put it into the queue.
The way back: `application = django.core.asgi.get_asgi_application()`.
"""

import asyncio
import os
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from operator import call

import django
from asgiref.sync import sync_to_async
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.db import close_old_connections, connections
from django.http import FileResponse
from django.urls import set_script_prefix


class Thread(ThreadPoolExecutor):
    """One thread, for a request must stay on the thread it has."""

    def __init__(self):
        super().__init__(max_workers=1)
        self.call = sync_to_async(call, thread_sensitive=False, executor=self)

    def end(self):
        self.submit(connections.close_all)
        self.shutdown(wait=False)


class Threads:
    kept = 4
    patience = 0.02  # seconds

    def __init__(self):
        self.idle = [Thread() for _ in range(self.kept)]
        self.waiting = deque()
        self.moved = 0  # when the one in front had its turn, by time.monotonic()

    async def acquire(self):
        if self.idle:
            return self.idle.pop()
        loop = asyncio.get_running_loop()
        self.waiting.append(turn := loop.create_future())
        if len(self.waiting) == 1:
            self.moved = time.monotonic()
            loop.call_later(self.patience, self.relieve, loop, time.process_time())
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # It had its thread when the client left.
                self.release(turn.result())
            raise

    def release(self, thread):
        while self.waiting:
            if not (turn := self.waiting.popleft()).done():
                self.moved = time.monotonic()
                return turn.set_result(thread)
        if len(self.idle) < self.kept:
            return self.idle.append(thread)
        thread.end()

    def relieve(self, loop, cpu_time):
        """Start threads for those who wait, unless what they lack is the processor."""
        now = time.process_time()
        stuck = time.monotonic() - self.moved > 25 * self.patience
        if stuck or now - cpu_time < self.patience / 2:
            for _ in range(min(len(self.waiting), 4 * self.kept)):
                self.release(Thread())
        if self.waiting:
            loop.call_later(self.patience, self.relieve, loop, now)


class Handler(ASGIHandler):
    file_block_size = 2**20  # A file up to this size is sent as a page is, in one go.

    def __init__(self):
        self.threads = Threads()
        super().__init__()

    def load_middleware(self, is_async=False):
        super().load_middleware(is_async=False)

    async def __call__(self, scope, receive, send):
        if scope["type"] != "lifespan":
            return await super().__call__(scope, receive, send)
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        while self.threads.idle:
            self.threads.idle.pop().end()

    async def handle(self, scope, receive, send):
        try:
            body_file = await self.read_body(receive)
        except RequestAborted:
            return
        thread, responses = None, []
        try:
            async with asyncio.timeout(None) as presence:
                leaving = asyncio.create_task(expire(presence, receive))
                thread = await self.threads.acquire()
                in_thread = thread.call
                response = await in_thread(self.respond, scope, body_file, responses)
                if response.closed or response.is_async:
                    self.threads.release(thread)
                    thread, in_thread = None, sync_to_async(call)
                else:
                    parts = response.streaming_content
                    response.streaming_content = stream(parts, in_thread)
                await self.send_response(response, send)
        except TimeoutError:
            if not presence.expired():
                raise
        finally:
            leaving.cancel()
            if thread or (responses and not response.closed):
                conclusion = self.conclude(thread, in_thread, body_file, responses)
                await asyncio.shield(conclusion)

    async def conclude(self, thread, in_thread, body_file, responses):
        """Clean up in the thread; if the client has left, when the view is done."""
        try:
            await in_thread(self.finish, body_file, responses)
        finally:
            if thread:
                self.threads.release(thread)

    def respond(self, scope, body_file, responses):
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=type(self), scope=scope)
        request, response = self.create_request(scope, body_file)
        if request:
            response = self.get_response(request)
            response._handler_class = type(self)
        responses.append(response)
        if isinstance(response, FileResponse):
            response.block_size = self.file_block_size
            if int(response.get("Content-Length", sys.maxsize)) <= response.block_size:
                response.streaming_content = whole(b"".join(response))
                self.finish(body_file, responses)
        elif not response.streaming:
            self.finish(body_file, responses)
        elif response.is_async:
            close_old_connections()
        return response

    def finish(self, body_file, responses):
        if not responses:
            signals.request_finished.send(sender=type(self))
        for response in responses:
            if not response.closed:
                response.close()
        body_file.close()


async def expire(presence, receive):
    """End the block that asyncio.timeout() guards when the client leaves."""
    await receive()
    presence.reschedule(0)


async def stream(parts, in_thread):
    end = object()
    while (part := await in_thread(next, parts, end)) is not end:
        yield part


async def whole(content):
    yield content


os.environ.setdefault(
    "DJANGO_SETTINGS_MODULE",
    "{{ cookiecutter.project_slug }}.settings",
)
django.setup(set_prefix=False)
application = Handler()

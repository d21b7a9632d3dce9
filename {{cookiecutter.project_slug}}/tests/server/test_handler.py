"""
The handler of server/ must behave like Django's own.

Run these tests after an upgrade of Django, asgiref or uvicorn.
"""

import asyncio
import functools
import json
import re
import threading
import warnings

import pytest
from django.core import signals
from django.core.handlers.asgi import ASGIHandler
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.backends.utils import CursorWrapper

from server.handler import (
    MAX_THREADS,
    Handler,
    get_asgi_application,
    get_max_threads,
)
from server.threads import MIN_THREADS

from . import views

TIMEOUT = 20  # Seconds; only a test that hangs takes as long.


def in_event_loop(test):
    """Run a test as a server runs the handler: in an event loop of its own."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        asyncio.run(test(*args, **kwargs))

    return run


@pytest.fixture(autouse=True)
def database(django_db_setup, django_db_blocker):
    """Let requests query the database from any thread. Their transactions roll back."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture(autouse=True)
def site(settings):
    """Serve the views of views.py, with the project's own middleware and one more."""
    settings.ROOT_URLCONF = "tests.server.views"
    settings.ALLOWED_HOSTS = ["site.example"]
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.server.views.other_urlconf"]
    settings.WHITENOISE_AUTOREFRESH = settings.WHITENOISE_USE_FINDERS = True
    settings.DEBUG_PROPAGATE_EXCEPTIONS = False
    views.gate.clear()
    views.events.clear()
    views.used_connections.clear()
    yield
    views.gate.set()


@pytest.fixture
def handler():
    handler = Handler()
    yield handler
    views.gate.set()
    for pool in (handler.threads, handler.async_threads, handler.stream_thread):
        pool.shutdown()


@pytest.fixture
def counts(monkeypatch):
    """Count queries and new connections, and record the signals of a request."""
    counts = {"queries": 0, "connections": 0}
    execute = CursorWrapper._execute

    def count_query(*args):
        counts["queries"] += 1
        return execute(*args)

    def count_connection(**kwargs):
        counts["connections"] += 1

    receivers = [
        (signals.request_started, lambda **kwargs: views.record("request_started")),
        (signals.request_finished, lambda **kwargs: views.record("request_finished")),
        (signals.got_request_exception, lambda **kwargs: views.record("exception")),
        (connection_created, count_connection),
    ]
    monkeypatch.setattr(CursorWrapper, "_execute", count_query)
    for signal, receiver in receivers:
        signal.connect(receiver)
    yield counts
    for signal, receiver in receivers:
        signal.disconnect(receiver)


class Client:
    """A client and its server, for an ASGI application."""

    def __init__(self, app, path, method="GET", headers=(), body=b"", **scope):
        path, _, query = path.partition("?")
        names = {"host": "site.example", **dict(headers)}
        self.scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "query_string": query.encode("latin1"),
            "headers": [
                (name.encode(), value.encode("latin1")) for name, value in names.items()
            ],
            "client": ("192.0.2.7", 4711),
            "server": ("site.example", 80),
            **scope,
        }
        self.offered, self.received = [], []
        self.has_news = asyncio.Event()
        self.messages = asyncio.Queue()
        self.reading = asyncio.Event()  # Cleared by tests of slow clients.
        self.reading.set()
        pieces = [body[i : i + 2**16] for i in range(0, len(body), 2**16)] or [b""]
        for piece in pieces[:-1]:
            self.put("http.request", body=piece, more_body=True)
        self.put("http.request", body=pieces[-1], more_body=method == "STALL")
        self.task = asyncio.create_task(app(self.scope, self.messages.get, self.send))

    def put(self, kind, **message):
        self.messages.put_nowait({"type": kind, **message})

    async def send(self, message):
        self.offered.append(message)
        await self.reading.wait()
        self.received.append(message)
        self.has_news.set()
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.put("http.disconnect")  # As uvicorn does.

    async def wait_for_parts(self, number):
        """Wait until `number` parts of the body have arrived."""
        async with asyncio.timeout(TIMEOUT):
            while sum("body" in message for message in self.received) < number:
                self.has_news.clear()
                await self.has_news.wait()

    async def wait(self):
        """Wait until the application returns."""
        done, _ = await asyncio.wait({self.task}, timeout=TIMEOUT)
        assert done, "The application does not return."
        await self.task

    async def get_response(self):
        """Return the status, the headers and the body."""
        await self.wait()
        start, *rest = self.received
        assert not rest[-1].get("more_body"), "The body is incomplete."
        body = b"".join(message.get("body", b"") for message in rest)
        return start["status"], sorted(start["headers"]), body


async def wait_until(condition):
    async with asyncio.timeout(TIMEOUT):
        while not condition():
            await asyncio.sleep(0.01)


async def wait_until_finished(requests=1):
    """Wait for the signal request_finished, which may follow the response."""
    await wait_until(
        lambda: (
            [event for event, _ in views.events].count("request_finished") == requests
        )
    )


def remove_random(text):
    """Return a header or a body without its random values."""
    random = rb"(sessionid|csrftoken)=\w+|expires=[^;]+|nonce[-=]\"?[\w-]+"
    return re.sub(random, b"", text)


FORM = {"content-type": "application/x-www-form-urlencoded"}
UPLOAD = {"content-type": "multipart/form-data; boundary=cut"}
FILES = (
    b'--cut\r\nContent-Disposition: form-data; name="title"\r\n\r\nBig\r\n'
    b'--cut\r\nContent-Disposition: form-data; name="file"; filename="big"\r\n\r\n'
    + b"x" * 3_000_000
    + b"\r\n--cut--\r\n"
)
CASES = {
    "sync view": {"path": "/page/"},
    "async view": {"path": "/a-page/"},
    "async class-based view": {"path": "/class/é/"},
    "HEAD": {"path": "/page/", "method": "HEAD"},
    "OPTIONS": {"path": "/class/x/", "method": "OPTIONS"},
    "request attributes": {
        "path": "/meta/?a=1&b=%C3%A9",
        "headers": {"cookie": "a=b; c=d"},
    },
    "https": {"path": "/meta/", "scheme": "https"},
    "no client, no server": {"path": "/meta/", "client": None, "server": None},
    "root_path": {"path": "/below/meta/", "root_path": "/below"},
    "slash appended": {"path": "/page"},
    "cookies and status": {"path": "/cookies/"},
    "session and messages": {"path": "/session/"},
    "unknown page": {"path": "/unknown/"},
    "unknown host": {"path": "/page/", "headers": {"host": "other.example"}},
    "invalid query string": {"path": "/page/?\xff"},
    "missing CSRF token": {
        "path": "/post/",
        "method": "POST",
        "headers": FORM,
        "body": b"a=1",
    },
    "upload": {"path": "/upload/", "method": "POST", "headers": UPLOAD, "body": FILES},
    "body": {"path": "/a-raw/", "method": "PUT", "body": b"abc"},
    "error in a transaction": {"path": "/half/"},
    "error in an async view": {"path": "/broken/"},
    "suspicious": {"path": "/suspicious/"},
    "view without a response": {"path": "/nothing/"},
    "stream": {"path": "/stream/"},
    "stream of a cursor": {"path": "/cursor-stream/"},
    "async stream of a sync view": {"path": "/stream-from-the-loop/"},
    "async stream": {"path": "/a-stream/"},
    "sync stream of an async view": {"path": "/a-stream-of-a-list/"},
    "empty file": {"path": "/file/0/"},
    "small file": {"path": "/file/100000/"},
    "large file": {"path": "/file/3000000/"},
    "static file": {"path": "/static/admin/css/base.css"},
    "range of a static file": {
        "path": "/static/admin/css/base.css",
        "headers": {"range": "bytes=10-19"},
    },
    "static file, HEAD": {"path": "/static/admin/css/base.css", "method": "HEAD"},
    "other URLconf, async for sync": {
        "path": "/page/",
        "headers": {"x-urlconf": "1"},
    },
    "other URLconf, sync for async": {
        "path": "/a-page/",
        "headers": {"x-urlconf": "1"},
    },
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("debug", [False, True], ids=["", "DEBUG"])
@in_event_loop
async def test_response_is_the_same_as_with_django(settings, counts, case, debug):
    settings.DEBUG = debug
    results = []
    for app, warn in ((ASGIHandler(), "ignore"), (Handler(), "error")):
        views.events.clear()
        counts.update(queries=0)
        with warnings.catch_warnings(action=warn):
            status, headers, body = await Client(app, **case).get_response()
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}
        headers = {name: remove_random(value) for name, value in headers}
        headers.pop(b"X-Request-ID", None)
        body = remove_random(body)
        if debug and status >= 400:
            # The debug page shows the frames of the handler and the time.
            body = body[:60]
            headers.pop(b"Content-Length", None)
        events = [event for event, _ in views.events]
        results.append((status, headers, body, events, counts["queries"]))
    expected, actual = results
    assert actual == expected
    assert (
        actual[3].count("request_started") == actual[3].count("request_finished") == 1
    )


@pytest.mark.parametrize(
    "path", ["/page/", "/stream/", "/cursor-stream/", "/half/", "/slow/"]
)
@in_event_loop
async def test_sync_request_runs_in_one_thread(counts, handler, path):
    views.gate.set()
    await Client(handler, path).get_response()
    assert views.events[0][0] == "request_started"
    assert views.events[-1][0] == "request_finished"
    assert len({thread for _, thread in views.events}) == 1
    assert threading.get_ident() not in {thread for _, thread in views.events}


@in_event_loop
async def test_async_view_runs_on_the_event_loop(handler):
    await Client(handler, "/a-page/").get_response()
    assert views.events == [("view", threading.get_ident())]


@in_event_loop
async def test_persistent_connection_is_reused(monkeypatch, counts, handler):
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", None)
    for path in ["/page/", "/half/"] * 5:
        await Client(handler, path).get_response()
    assert counts["connections"] <= MIN_THREADS


@pytest.mark.parametrize(
    "path",
    [
        "/page/",
        "/a-page/",
        "/half/",
        "/stream/",
        "/cursor-stream/",
        "/stream-from-the-loop/",
        "/a-stream/",
    ],
)
@in_event_loop
async def test_connection_is_closed_with_the_request(monkeypatch, handler, path):
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    opened = []
    connection_created.connect(
        receiver := lambda connection, **kwargs: opened.append(connection)
    )
    try:
        await Client(handler, path).get_response()
    finally:
        connection_created.disconnect(receiver)
    assert opened
    assert [connection.connection for connection in opened] == [None] * len(opened)


@in_event_loop
async def test_lifespan_is_answered(handler):
    sent = []
    inbox = asyncio.Queue()
    inbox.put_nowait({"type": "lifespan.startup"})

    async def send(message):
        sent.append(message["type"])
        inbox.put_nowait({"type": "lifespan.shutdown"})

    await handler({"type": "lifespan"}, inbox.get, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@in_event_loop
async def test_websocket_is_closed(handler):
    sent = []

    async def send(message):
        sent.append(message["type"])

    await handler({"type": "websocket", "path": "/"}, None, send)
    assert sent == ["websocket.close"]


@in_event_loop
async def test_unreadable_content_type_is_a_bad_request(handler):
    headers = {"content-type": "text/html; charset*=unknown''a"}

    assert (await Client(handler, "/page/", headers=headers).get_response())[0] == 400


@in_event_loop
async def test_exception_in_a_stream_is_raised(counts, handler):
    for app, warn in ((ASGIHandler(), "ignore"), (handler, "error")):
        views.events.clear()
        client = Client(app, "/broken-stream/")
        with (
            warnings.catch_warnings(action=warn),
            pytest.raises(AttributeError, match="upper"),
        ):
            await client.get_response()
        events = [event for event, _ in views.events]
        assert events.count("request_started") == 1
    assert [message.get("body") for message in client.received] == [None, b"ONE"]
    assert events.count("request_finished") == 1


@in_event_loop
async def test_disconnect_during_an_upload(counts, handler):
    client = Client(handler, "/upload/", "STALL", body=b"half of it")
    client.put("http.disconnect")
    await client.wait()
    assert client.received == views.events == []


@in_event_loop
async def test_disconnect_cancels_an_async_view(counts, handler):
    recorded = []
    for app in (ASGIHandler(), handler):
        views.events.clear()
        client = Client(app, "/a-slow/")
        await wait_until(lambda: ("view", threading.get_ident()) in views.events)
        client.put("http.disconnect")
        await client.wait()
        await wait_until_finished()
        assert client.received == []
        recorded.append([event for event, _ in views.events])
    expected, actual = recorded
    assert actual == expected
    assert actual == ["request_started", "view", "cancelled", "request_finished"]


@in_event_loop
async def test_disconnect_does_not_interrupt_a_sync_view(counts, handler):
    client = Client(handler, "/slow/")
    await wait_until(lambda: "view" in dict(views.events))
    client.put("http.disconnect")
    await asyncio.sleep(0.05)
    assert views.events[-1][0] == "view"
    views.gate.set()
    await client.wait()
    await wait_until_finished()
    assert [event for event, _ in views.events] == [
        "request_started",
        "view",
        "request_finished",
    ]
    await Client(handler, "/page/").get_response()


@pytest.mark.parametrize("path", ["/endless-stream/", "/endless-a-stream/"])
@in_event_loop
async def test_disconnect_ends_a_stream(monkeypatch, counts, handler, path):
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    client = Client(handler, path)
    await client.wait_for_parts(3)
    client.put("http.disconnect")
    await client.wait()
    await wait_until_finished()
    events = [event for event, _ in views.events if event != "row"]
    assert events == ["request_started", "closed", "request_finished"]
    assert not any(connection.connection for connection in views.used_connections)


@in_event_loop
async def test_cancelled_requests_are_finished(counts, handler):
    clients = [Client(handler, "/slow/") for _ in range(6)]
    await wait_until(lambda: [event for event, _ in views.events].count("view") == 6)
    for client in clients:
        client.task.cancel()
    views.gate.set()
    for client in clients:
        with pytest.raises(asyncio.CancelledError):
            await client.wait()
    status, _, _ = await Client(handler, "/page/").get_response()
    assert status == 200
    await wait_until_finished(7)
    assert [event for event, _ in views.events].count("request_started") == 7


@pytest.mark.parametrize(
    "path", ["/slow/", "/a-slow/", "/endless-stream/", "/endless-a-stream/"]
)
@in_event_loop
async def test_slow_requests_do_not_delay_others(handler, path):
    # On PostgreSQL, each slow view uses a connection of the pool.
    number = 5 if connections["default"].vendor == "postgresql" else 50
    clients = [Client(handler, path) for _ in range(number)]
    for client in clients:
        client.reading.clear()
    try:
        for other in ("/page/", "/a-page/", "/stream/", "/a-stream/"):
            status, _, _ = await Client(handler, other).get_response()
            assert status == 200
        assert not any(client.task.done() for client in clients)
    finally:
        views.gate.set()
        for client in clients:
            client.put("http.disconnect")
            client.reading.set()
        for client in clients:
            await client.wait()


@pytest.mark.parametrize("path", ["/page/", "/file/100000/", "/a-stream/"])
@in_event_loop
async def test_slow_clients_use_no_thread(handler, path):
    clients = [Client(handler, path) for _ in range(50)]
    for client in clients:
        client.reading.clear()
    await wait_until(lambda: all(client.offered for client in clients))
    await wait_until(lambda: len(handler.threads.idle) == len(handler.threads.threads))
    status, _, _ = await Client(handler, "/page/").get_response()
    assert status == 200
    for client in clients:
        client.reading.set()
        assert (await client.get_response())[0] == 200


@in_event_loop
async def test_response_that_is_slow_to_close_is_closed(counts, handler):
    client = Client(handler, "/slow-to-close/")
    await wait_until(lambda: {"type": "http.response.body"} in client.received)
    await asyncio.sleep(0.05)  # By now the server has said that all is sent.
    views.gate.set()
    await client.get_response()
    await wait_until_finished()
    events = [event for event, _ in views.events]
    assert events == ["request_started", "closed", "request_finished"]


@pytest.mark.parametrize("path", ["/exit/", "/a-exit/"])
@in_event_loop
async def test_view_that_exits_does_not_end_its_thread(counts, handler, path):
    async def server(*args):
        with pytest.raises(SystemExit):
            await handler(*args)

    await Client(server, path).wait()
    events = [event for event, _ in views.events]
    assert events == ["request_started", "request_finished"]
    assert (await Client(handler, "/page/").get_response())[0] == 200


@in_event_loop
async def test_shutdown_does_not_wait_for_a_view_that_hangs(handler):
    inbox = asyncio.Queue()
    sent = []

    async def send(message):
        sent.append(message["type"])

    lifespan = asyncio.create_task(handler({"type": "lifespan"}, inbox.get, send))
    inbox.put_nowait({"type": "lifespan.startup"})
    client = Client(handler, "/slow/")
    await wait_until(lambda: "view" in dict(views.events))
    inbox.put_nowait({"type": "lifespan.shutdown"})
    async with asyncio.timeout(TIMEOUT):
        await lifespan
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert not client.task.done()
    views.gate.set()
    await client.wait()


@in_event_loop
async def test_shutdown_waits_for_views_that_finish(handler):
    inbox = asyncio.Queue()
    sent = asyncio.Queue()
    lifespan = asyncio.create_task(handler({"type": "lifespan"}, inbox.get, sent.put))
    inbox.put_nowait({"type": "lifespan.startup"})
    client = Client(handler, "/slow/")
    await wait_until(lambda: "view" in dict(views.events))
    views.gate.set()
    inbox.put_nowait({"type": "lifespan.shutdown"})
    await lifespan
    await client.wait()
    await wait_until(lambda: not handler.threads.threads)
    assert not any(connection.connection for connection in views.used_connections)


@in_event_loop
async def test_task_that_outlives_its_view_can_make_queries(handler):
    assert (await Client(handler, "/a-task/").get_response())[0] == 200
    assert await views.tasks.pop() == 0


@in_event_loop
async def test_context_variables_reach_the_view(handler):
    for name in ("one", "two"):

        async def app(scope, receive, send, name=name):
            views.tenant.set(name)
            await handler(scope, receive, send)

        _, _, body = await Client(app, "/context/").get_response()
        assert json.loads(body) == {"tenant": name, "language": "en"}


@in_event_loop
async def test_request_can_start_in_the_context_of_another(handler):
    following = []

    async def server(scope, receive, send):
        async def send_and_go_on(message):
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                following.append(Client(handler, "/a-stream/"))

        await handler(scope, receive, send_and_go_on)

    assert (await Client(server, "/stream/").get_response())[0] == 200
    status, _, body = await following[0].get_response()
    assert status == 200
    assert body.count(b"\n") == 3


@in_event_loop
async def test_timeout_error_in_a_stream_is_raised(handler):
    for app in (ASGIHandler(), handler):
        with pytest.raises(TimeoutError):
            await Client(app, "/timeout-stream/").wait()


@pytest.mark.parametrize(
    ("options", "number"), [({}, MAX_THREADS), ({"pool": {"max_size": 3}}, 12)]
)
def test_number_of_threads_depends_on_the_pool(monkeypatch, options, number):
    monkeypatch.setitem(connections.settings["default"], "OPTIONS", options)

    assert get_max_threads() == number


def test_get_asgi_application():
    assert isinstance(get_asgi_application(), Handler)

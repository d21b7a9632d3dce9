"""The project's ASGI handler beside Django's own: the same requests, the same answers.

This runs in a generated project's environment; ../test_asgi.py sees to that.
"""

import asyncio
import itertools
import json
import re
import threading
import warnings
from importlib import import_module
from types import SimpleNamespace

import asgi_views as views
import pytest
from django.conf import settings as project_settings
from django.core import signals
from django.core.handlers.asgi import ASGIHandler
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.backends.utils import CursorWrapper

asgi = import_module(f"{project_settings.ROOT_URLCONF.split('.')[0]}.asgi")

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 20  # seconds; a bound for a machine that hangs, not a measure of speed


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory):
    """Keep the test database in a file, which threads share as they do in earnest."""
    name = tmp_path_factory.mktemp("database") / "test.sqlite3"
    connections.settings["default"]["TEST"]["NAME"] = str(name)


@pytest.fixture(autouse=True)
def site(settings):
    """Serve the views of asgi_views, with the project's own middleware and one more."""
    settings.ROOT_URLCONF = "asgi_views"
    settings.ALLOWED_HOSTS = ["site.example"]
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "asgi_views.other_urlconf"]
    settings.WHITENOISE_AUTOREFRESH = settings.WHITENOISE_USE_FINDERS = True
    settings.DEBUG_PROPAGATE_EXCEPTIONS = False
    views.gate.clear()
    views.log.clear()
    views.held.clear()
    yield
    views.gate.set()


@pytest.fixture
def handler():
    return asgi.Handler()


@pytest.fixture
def counts(monkeypatch):
    """Count what a request does with the database, and note the signals it sends."""
    counts = {"queries": 0, "connections": 0}
    execute = CursorWrapper._execute

    def counting(*args):
        counts["queries"] += 1
        return execute(*args)

    def connected(**kwargs):
        counts["connections"] += 1

    receivers = [
        (signals.request_started, lambda **kwargs: views.note("request_started")),
        (signals.request_finished, lambda **kwargs: views.note("request_finished")),
        (signals.got_request_exception, lambda **kwargs: views.note("exception")),
        (connection_created, connected),
    ]
    monkeypatch.setattr(CursorWrapper, "_execute", counting)
    for signal, receiver in receivers:
        signal.connect(receiver)
    yield counts
    for signal, receiver in receivers:
        signal.disconnect(receiver)


class Client:
    """A connection to an ASGI application, which the tests play the server of."""

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
        self.offered, self.sent = [], []
        self.news = asyncio.Event()
        self.inbox = asyncio.Queue()
        self.reading = asyncio.Event()  # a client that reads what it is sent
        self.reading.set()
        pieces = [body[i : i + 2**16] for i in range(0, len(body), 2**16)] or [b""]
        for piece in pieces[:-1]:
            self.tell("http.request", body=piece, more_body=True)
        self.tell("http.request", body=pieces[-1], more_body=method == "STALL")
        self.task = asyncio.create_task(app(self.scope, self.inbox.get, self.send))

    def tell(self, kind, **message):
        self.inbox.put_nowait({"type": kind, **message})

    async def send(self, message):
        self.offered.append(message)
        await self.reading.wait()
        self.sent.append(message)
        self.news.set()
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.tell("http.disconnect")  # So says uvicorn when all is sent.

    async def chunks(self, number):
        """Wait until so many parts of a body have come."""
        async with asyncio.timeout(PATIENCE):
            while sum("body" in message for message in self.sent) < number:
                self.news.clear()
                await self.news.wait()

    async def end(self):
        """Wait until the application is done with the request."""
        done, _ = await asyncio.wait({self.task}, timeout=PATIENCE)
        assert done, "The request does not end."
        await self.task

    async def answer(self):
        """Return status, headers and body when all is over."""
        await self.end()
        start, *rest = self.sent
        assert not rest[-1].get("more_body"), "The body has no end."
        body = b"".join(message.get("body", b"") for message in rest)
        return start["status"], sorted(start["headers"]), body


async def until(condition):
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


async def finished(requests=1):
    """Wait until so many have been cleaned up after, which no client waits for."""
    await until(
        lambda: [what for what, _ in views.log].count("request_finished") == requests
    )


def story():
    """Return what happened, with threads numbered in the order of their appearance."""
    threads = []
    for _, thread in views.log:
        if thread not in threads:
            threads.append(thread)
    return [(what, threads.index(thread)) for what, thread in views.log]


def masked(text):
    """Return a header or body without what is drawn at random."""
    drawn = rb"(sessionid|csrftoken)=\w+|expires=[^;]+|nonce[-=]\"?[\w-]+"
    return re.sub(drawn, b"", text)


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
    "what the request says": {
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
    "query string that is no text": {"path": "/page/?\xff"},
    "form without its token": {
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
    "static file, a part": {
        "path": "/static/admin/css/base.css",
        "headers": {"range": "bytes=10-19"},
    },
    "static file, HEAD": {"path": "/static/admin/css/base.css", "method": "HEAD"},
    "other URLconf, async for sync": {
        "path": "/page/",
        "headers": {"x-elsewhere": "1"},
    },
    "other URLconf, sync for async": {
        "path": "/a-page/",
        "headers": {"x-elsewhere": "1"},
    },
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("debug", [False, True], ids=["", "DEBUG"])
async def test_answers_are_those_of_django(settings, counts, case, debug):
    settings.DEBUG = debug
    seen = []
    for app, warn in ((ASGIHandler(), "ignore"), (asgi.Handler(), "error")):
        views.log.clear()
        counts.update(queries=0)
        with warnings.catch_warnings(action=warn):
            status, headers, body = await Client(app, **case).answer()
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}
        headers = {name: masked(value) for name, value in headers}
        headers.pop(b"X-Request-ID", None)
        body = masked(body)
        if debug and status >= 400:
            # The page tells of the handler's own frames and of the moment.
            body = body[:60]
            headers.pop(b"Content-Length", None)
        events = [what for what, _ in views.log]
        seen.append((status, headers, body, events, counts["queries"]))
    djangos, ours = seen
    assert ours == djangos
    assert ours[3].count("request_started") == ours[3].count("request_finished") == 1


@pytest.mark.parametrize(
    "path", ["/page/", "/stream/", "/cursor-stream/", "/half/", "/slow/"]
)
async def test_all_of_a_sync_view_is_in_one_thread(counts, handler, path):
    views.gate.set()
    await Client(handler, path).answer()
    assert views.log[0][0] == "request_started"
    assert views.log[-1][0] == "request_finished"
    assert len({thread for _, thread in views.log}) == 1
    assert threading.get_ident() not in {thread for _, thread in views.log}


async def test_an_async_view_is_on_the_event_loop(handler):
    await Client(handler, "/a-page/").answer()
    assert views.log == [("view", threading.get_ident())]


async def test_connections_outlive_requests(monkeypatch, counts, handler):
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", None)
    for path in ["/page/", "/a-page/", "/stream/", "/half/"] * 5:
        await Client(handler, path).answer()
    assert counts["connections"] == 1


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
async def test_connections_end_with_their_request(monkeypatch, handler, path):
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    opened = []
    connection_created.connect(
        receiver := lambda connection, **kwargs: opened.append(connection)
    )
    try:
        await Client(handler, path).answer()
    finally:
        connection_created.disconnect(receiver)
    assert opened
    assert [connection.connection for connection in opened] == [None] * len(opened)


async def test_lifespan_is_answered(handler):
    sent = []
    inbox = asyncio.Queue()
    inbox.put_nowait({"type": "lifespan.startup"})

    async def send(message):
        sent.append(message["type"])
        inbox.put_nowait({"type": "lifespan.shutdown"})

    await handler({"type": "lifespan"}, inbox.get, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_a_websocket_is_refused_as_by_django(handler):
    for app in (ASGIHandler(), handler):
        with pytest.raises(ValueError, match="not websocket"):
            await app({"type": "websocket", "path": "/"}, None, None)


async def test_a_stream_that_breaks_raises_what_it_raised(counts, handler):
    for app, warn in ((ASGIHandler(), "ignore"), (handler, "error")):
        views.log.clear()
        client = Client(app, "/broken-stream/")
        with (
            warnings.catch_warnings(action=warn),
            pytest.raises(AttributeError, match="upper"),
        ):
            await client.answer()
        events = [what for what, _ in views.log]
        assert events.count("request_started") == 1
    assert [message.get("body") for message in client.sent] == [None, b"ONE"]
    assert events.count("request_finished") == 1


async def test_a_client_that_leaves_while_it_uploads_reaches_no_view(counts, handler):
    client = Client(handler, "/upload/", "STALL", body=b"half of it")
    client.tell("http.disconnect")
    await client.end()
    assert client.sent == views.log == []


async def test_a_client_that_leaves_cancels_an_async_view(counts, handler):
    stories = []
    for app in (ASGIHandler(), handler):
        views.log.clear()
        client = Client(app, "/a-slow/")
        await until(lambda: ("view", threading.get_ident()) in views.log)
        client.tell("http.disconnect")
        await client.end()
        await finished()
        assert client.sent == []
        stories.append([what for what, _ in views.log])
    djangos, ours = stories
    assert djangos == ours
    assert ours == ["request_started", "view", "cancelled", "request_finished"]


async def test_a_client_that_leaves_does_not_cut_a_sync_view_short(counts, handler):
    client = Client(handler, "/slow/")
    await until(lambda: "view" in dict(views.log))
    client.tell("http.disconnect")
    await asyncio.sleep(0.05)
    assert views.log[-1][0] == "view"
    views.gate.set()
    await client.end()
    await finished()
    assert client.sent == []
    assert [what for what, _ in story()] == [
        "request_started",
        "view",
        "request_finished",
    ]
    await Client(handler, "/page/").answer()


@pytest.mark.parametrize("path", ["/endless-stream/", "/endless-a-stream/"])
async def test_a_client_that_leaves_ends_its_stream(monkeypatch, counts, handler, path):
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    client = Client(handler, path)
    await client.chunks(3)
    client.tell("http.disconnect")
    await client.end()
    await finished()
    events = [what for what, _ in views.log if what != "row"]
    assert events == ["request_started", "rows closed", "request_finished"]
    assert not any(connection.connection for connection in views.held)


async def test_a_server_that_cancels_leaves_the_handler_in_order(counts, handler):
    clients = [Client(handler, "/slow/") for _ in range(6)]
    await until(lambda: [what for what, _ in views.log].count("view") == 6)
    for client in clients:
        client.task.cancel()
    views.gate.set()
    for client in clients:
        with pytest.raises(asyncio.CancelledError):
            await client.end()
    status, _, _ = await Client(handler, "/page/").answer()
    assert status == 200
    await finished(7)
    assert [what for what, _ in views.log].count("request_started") == 7


@pytest.mark.parametrize(
    "path", ["/slow/", "/a-slow/", "/endless-stream/", "/endless-a-stream/"]
)
async def test_fifty_that_take_their_time_hold_up_nobody(handler, path):
    clients = [Client(handler, path) for _ in range(50)]
    for client in clients:
        client.reading.clear()
    try:
        for other in ("/page/", "/a-page/", "/stream/", "/a-stream/"):
            status, _, _ = await Client(handler, other).answer()
            assert status == 200
        assert not any(client.task.done() for client in clients)
    finally:
        views.gate.set()
        for client in clients:
            client.tell("http.disconnect")
            client.reading.set()
        for client in clients:
            await client.end()
    await until(lambda: len(handler.threads.alive) == 1)


@pytest.mark.parametrize("path", ["/page/", "/file/100000/", "/a-stream/"])
async def test_slow_clients_hold_no_thread(handler, path):
    clients = [Client(handler, path) for _ in range(50)]
    for client in clients:
        client.reading.clear()
    await until(lambda: all(client.offered for client in clients))
    await until(lambda: len(handler.threads.alive) == 1)
    status, _, _ = await Client(handler, "/page/").answer()
    assert status == 200
    for client in clients:
        client.reading.set()
        assert (await client.answer())[0] == 200


async def test_a_response_that_is_slow_to_close_is_closed_all_the_same(counts, handler):
    client = Client(handler, "/slow-to-close/")
    await until(lambda: {"type": "http.response.body"} in client.sent)
    await asyncio.sleep(0.05)  # By now the server has said that all is sent.
    views.gate.set()
    await client.answer()
    await finished()
    events = [what for what, _ in views.log]
    assert events == ["request_started", "closed", "request_finished"]


@pytest.mark.parametrize("path", ["/exit/", "/a-exit/"])
async def test_a_view_that_exits_takes_no_thread_with_it(counts, handler, path):
    async def server(*args):
        with pytest.raises(SystemExit):
            await handler(*args)

    await Client(server, path).end()
    assert len(handler.threads.alive) == 1
    events = [what for what, _ in views.log]
    assert events == ["request_started", "request_finished"]


async def test_a_busy_process_starts_threads_once_its_queue_stands_still(monkeypatch):
    clock = SimpleNamespace(process_time=itertools.count().__next__)
    clock.monotonic = lambda: clock.now
    clock.now = 0
    monkeypatch.setattr(asgi, "time", clock)
    threads = asgi.Threads()
    gates = [threading.Event() for _ in range(3)]
    futures = [threads.submit(gate.wait) for gate in gates]
    await asyncio.sleep(0.1)
    clock.now = 0.08
    gates[0].set()
    await until(futures[1].running)
    clock.now = 0.16
    await asyncio.sleep(0.1)
    assert not futures[2].running()
    clock.now = 0.2
    await until(futures[2].running)
    for gate in gates:
        gate.set()
    await until(lambda: len(threads.alive) == 1)


async def test_threads_are_not_without_number():
    threads = asgi.Threads()
    threads.limit = 2
    gate = threading.Event()
    futures = [threads.submit(gate.wait) for _ in range(5)]
    await until(futures[1].running)
    await asyncio.sleep(5 * threads.patience)
    assert len(threads.alive) == 2
    gate.set()
    await until(lambda: all(future.done() for future in futures))


async def test_a_response_does_not_wait_for_the_next_request(monkeypatch, handler):
    monkeypatch.setattr(handler.threads, "batch", PATIENCE)
    quick, slow = Client(handler, "/page/"), Client(handler, "/slow/")
    assert (await quick.answer())[0] == 200
    assert not slow.task.done()
    views.gate.set()
    await slow.answer()


async def test_threads_end_when_they_are_not_needed(monkeypatch, handler):
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", None)
    before = threading.active_count()
    clients = [Client(handler, "/slow/") for _ in range(30)]
    await until(lambda: [what for what, _ in views.log].count("view") == 30)
    views.gate.set()
    for client in clients:
        await client.answer()
    await until(lambda: threading.active_count() <= before + 1)
    await until(lambda: sum(used.connection is not None for used in views.held) <= 1)


async def test_a_server_that_ends_waits_for_views(handler):
    inbox = asyncio.Queue()
    sent = []

    async def send(message):
        sent.append(message["type"])

    lifespan = asyncio.create_task(handler({"type": "lifespan"}, inbox.get, send))
    inbox.put_nowait({"type": "lifespan.startup"})
    client = Client(handler, "/slow/")
    await until(lambda: "view" in dict(views.log))
    client.tell("http.disconnect")
    await client.end()
    inbox.put_nowait({"type": "lifespan.shutdown"})
    await asyncio.sleep(0.05)
    assert sent == ["lifespan.startup.complete"]
    views.gate.set()
    async with asyncio.timeout(PATIENCE):
        await lifespan
    assert sent[1:] == ["lifespan.shutdown.complete"]
    assert not handler.threads.alive
    assert not any(connection.connection for connection in views.held)


async def test_a_client_that_leaves_the_queue_holds_up_nobody(monkeypatch, handler):
    monkeypatch.setattr(handler.threads, "patience", PATIENCE)
    served = Client(handler, "/slow/")
    leaving, staying = Client(handler, "/page/"), Client(handler, "/page/")
    await until(lambda: handler.threads.queue.qsize() == 2)
    leaving.tell("http.disconnect")
    await leaving.end()
    views.gate.set()
    for client in (served, staying):
        assert (await client.answer())[0] == 200


async def test_context_reaches_the_view_and_stays_with_its_request(handler):
    for name in ("one", "two"):

        async def app(scope, receive, send, name=name):
            views.tenant.set(name)
            await handler(scope, receive, send)

        _, _, body = await Client(app, "/context/").answer()
        assert json.loads(body) == {"tenant": name, "language": "en"}


async def test_a_request_may_start_in_the_context_of_the_one_before(handler):
    following = []

    async def server(scope, receive, send):
        async def send_and_go_on(message):
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                following.append(Client(handler, "/a-stream/"))

        await handler(scope, receive, send_and_go_on)

    assert (await Client(server, "/stream/").answer())[0] == 200
    status, _, body = await following[0].answer()
    assert status == 200
    assert body.count(b"\n") == 3

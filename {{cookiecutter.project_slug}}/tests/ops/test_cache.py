import socketserver
from threading import Thread

import pytest

from ops.cache import RedisCache

# What a server may send in place of a result.
REPLIES = [
    b"-MISCONF Redis is configured to save RDB snapshots\r\n",
    b"-READONLY You can't write against a read only replica.\r\n",
    b"-LOADING Redis is loading the dataset in memory\r\n",
    b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    b"-NOAUTH Authentication required.\r\n",
    b"-WRONGPASS invalid username-password pair or user is disabled.\r\n",
    b"-NOPERM User default has no permissions\r\n",
    b"-BUSY Redis is busy running a script.\r\n",
    b"-CLUSTERDOWN The cluster is down\r\n",
    b"-MOVED 1 127.0.0.1:1\r\n",
    b"-ERR max number of clients reached\r\n",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"$100\r\nhalf of a value",
    b"",
]


@pytest.fixture(params=REPLIES)
def cache(request):
    """Return a cache whose server sends the same reply to everything, then hangs up."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(2**16)
            self.request.sendall(request.param)

    options = {
        "IGNORE_EXCEPTIONS": True,
        "REDIS_CLIENT_CLASS": "ops.cache.Redis",
        # Without the greeting of redis-py, the reply is that to the command.
        "CONNECTION_POOL_KWARGS": {
            "protocol": 2,
            "driver_info": None,
            "socket_timeout": 0.5,
        },
    }
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        host, port = server.server_address
        yield RedisCache(f"redis://{host}:{port}", {"OPTIONS": options})
        server.shutdown()


def test_site_works_without_a_cache_whatever_redis_replies(cache):
    assert cache.get("key", "default") in ("default", None)
    assert cache.get_or_set("key", 1) == 1
    assert cache.get_many(["key", "other"]) in ({}, None)
    assert cache.add("lock", True)
    for method in ("delete", "touch", "has_key", "incr"):
        assert not getattr(cache, method)("key")
    cache.set("key", 1)
    cache.delete_many(["key", "other"])
    cache.clear()


def test_add_succeeds_while_redis_is_down():
    options = {"IGNORE_EXCEPTIONS": True}
    cache = RedisCache("redis://127.0.0.1:1", {"OPTIONS": options})

    assert cache.add("lock", True)
    assert cache.get("lock") is None

import pytest
from redis.exceptions import ConnectionError

from pages.cache import TolerantClient, TolerantRedisCache


class Server:
    """A dictionary in the place of django's RedisCacheClient and its server."""

    def __init__(self):
        self.content = {}
        self.asked = 0
        self.is_up = True

    def reach(self):
        self.asked += 1
        if not self.is_up:
            raise ConnectionError("connection refused")
        return self.content

    def get(self, key, default):
        return self.reach().get(key, default)

    def set(self, key, value, timeout):
        self.reach()[key] = value

    def set_many(self, data, timeout):
        self.reach().update(data)

    def delete(self, key):
        return self.reach().pop(key, None) is not None

    def delete_many(self, keys):
        for key in keys:
            self.reach().pop(key, None)

    def clear(self):
        self.reach().clear()


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def cache(server, monkeypatch):
    """A cache whose server is asked again without a pause."""
    monkeypatch.setattr(TolerantClient, "pause", 0)
    cache = TolerantRedisCache("redis://cache.example.com", {})
    cache._cache = TolerantClient(server)
    return cache


def test_connections_are_shared_by_the_cache_objects_of_all_requests():
    one, two = (TolerantRedisCache("redis://cache.example.com", {}) for _ in range(2))
    other = TolerantRedisCache("redis://other.example.com", {})

    assert one._cache is two._cache is not other._cache


def test_nothing_is_found_while_the_server_is_out(cache, server, caplog):
    cache.set("page", "old")
    server.is_up = False

    assert cache.get("page", "nothing") == "nothing"
    assert cache.get_many(["page"]) == {}
    cache.set_many({"page": "new"})
    assert not cache.delete("page")
    with pytest.raises(ValueError, match="not found"):
        cache.incr("visits")
    assert len(caplog.messages) == 1


def test_what_changed_while_the_server_was_out_is_not_found_as_it_was(cache, server):
    cache.set_many({"session": "log-in", "other": "kept"})
    server.is_up = False
    cache.delete("session")
    server.is_up = True

    assert cache.get("session") is None
    assert cache.get("other") == "kept"


def test_a_server_that_nobody_missed_comes_back_as_well(cache):
    cache._cache.go_out(ConnectionError("connection refused"))

    cache.set("page", "new")

    assert cache.get("page") == "new"


def test_a_server_that_is_out_is_not_asked_by_everybody(cache, server, monkeypatch):
    monkeypatch.setattr(TolerantClient, "pause", 60)
    server.is_up = False

    for _ in range(10):
        cache.get("page")

    assert server.asked == 1


def test_emptying_a_cache_that_is_out_is_an_error(cache, server):
    cache.clear()
    server.is_up = False

    with pytest.raises(ConnectionError):
        cache.clear()

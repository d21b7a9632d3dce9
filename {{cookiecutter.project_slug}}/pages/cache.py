"""The cache on Redis or Valkey, for CACHES in settings.py."""

import logging
import time
from functools import cached_property, partial

from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis.exceptions import (
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    TimeoutError,
)

logger = logging.getLogger(__name__)


class TolerantRedisCache(RedisCache):
    """
    Django's Redis cache, but for two things.

    Its connections are kept: Django makes a cache object for each request under ASGI,
    and would connect anew each time. And while the server is out nothing is found and
    nothing is kept, instead of an error on every page.
    """

    clients = {}

    @cached_property
    def _cache(self):
        client = self.clients.get(tuple(self._servers))
        if client is None:
            client = TolerantClient(RedisCacheClient(self._servers, **self._options))
            self.clients[tuple(self._servers)] = client
        return client


class TolerantClient:
    """Does what `client` does or, while its server is out, what DummyCache does."""

    pause = 1  # seconds until a server that did not answer is asked again
    outages = (ConnectionError, OutOfMemoryError, ReadOnlyError, TimeoutError)

    def __init__(self, client):
        self.client = client
        self.nothing = DummyCache("", {})
        self.is_out = False
        self.asked_again_at = 0
        self.missed = set()

    def __getattr__(self, operation):
        return partial(self.attempt, operation)

    def clear(self):
        """Empty the cache. Here an outage is an error: somebody counts on it."""
        return self.client.clear()

    def attempt(self, operation, keys, *args):
        if not self.is_out or time.monotonic() >= self.asked_again_at:
            try:
                if self.is_out:
                    self.come_back()
                return getattr(self.client, operation)(keys, *args)
            except self.outages as error:
                self.go_out(error)
        self.missed.update([keys] if isinstance(keys, str) else keys)
        return getattr(self.nothing, operation)(keys, *args)

    def go_out(self, error):
        self.asked_again_at = time.monotonic() + self.pause
        if not self.is_out:
            self.is_out = True
            logger.warning("Doing without the cache: %s", error)

    def come_back(self):
        # What was changed or deleted meanwhile must not be found as it was before, a
        # session that somebody has ended least of all.
        if keys := list(self.missed):
            self.client.delete_many(keys)
            self.missed.difference_update(keys)
        self.is_out = False
        logger.warning("The cache is back.")

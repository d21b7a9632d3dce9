from typing import Any

from django_redis import cache


class RedisCache(cache.RedisCache):
    """
    django-redis' cache, in which add() succeeds while Redis fails, as in DummyCache.

    allauth locks its counts of failed log-ins with add(). Without a lock, it would reject
    every log-in with "Too many requests".
    """

    def add(self, *args: Any, **kwargs: Any) -> bool:
        # None: Redis failed, and DJANGO_REDIS_IGNORE_EXCEPTIONS is set.
        return super().add(*args, **kwargs) is not False

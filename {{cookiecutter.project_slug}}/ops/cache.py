from typing import Any

import redis
from django_redis import cache
from django_redis.exceptions import ConnectionInterrupted


class Redis(redis.Redis):
    """
    A Redis client that raises each error as ConnectionInterrupted, which django-redis ignores.

    By itself, django-redis ignores no errors of the protocol, and none in touch().
    """

    def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            return super().execute_command(*args, **options)
        except redis.RedisError as error:
            raise ConnectionInterrupted(connection=self) from error


class RedisCache(cache.RedisCache):
    """
    django-redis' cache, in which add() succeeds while Redis fails, as in DummyCache.

    allauth locks its counts of failed log-ins with add(). Without a lock, it would reject
    every log-in with "Too many requests".
    """

    def add(self, *args: Any, **kwargs: Any) -> bool:
        # None: Redis failed, and DJANGO_REDIS_IGNORE_EXCEPTIONS is set.
        return super().add(*args, **kwargs) is not False

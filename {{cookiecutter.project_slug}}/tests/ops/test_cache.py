from ops.cache import RedisCache


def test_add_succeeds_while_redis_is_down():
    options = {"IGNORE_EXCEPTIONS": True}
    cache = RedisCache("redis://127.0.0.1:1", {"OPTIONS": options})

    assert cache.add("lock", True)
    assert cache.get("lock") is None

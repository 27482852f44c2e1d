"""dogpile.cache: https://dogpilecache.sqlalchemy.org/. A distributed lock limits loads; who has the old value gets it.

The lock has no limit here, as in the documentation's example: a holder that dies leaves it behind.
"""

from __future__ import annotations

from collections.abc import Callable

from dogpile.cache import make_region

__all__ = ["get_or_create"]


def get_or_create(url: str, key: str, load: Callable[[], bytes], ttl_s: float) -> Callable[[], bytes]:
    """Return a function that answers from the cache or by `load`."""
    # Without its default serializer, which would pickle the bytes once more.
    region = make_region(serializer=bytes, deserializer=bytes).configure(
        "dogpile.cache.redis",
        expiration_time=ttl_s,
        arguments={
            "url": url,
            "redis_expiration_time": int(2 * ttl_s) + 1,
            "distributed_lock": True,
            "thread_local_lock": False,
        },
    )
    return lambda: region.get_or_create(key, load)

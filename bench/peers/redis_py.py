"""redis-py: MGET of the keys of our hit is the floor; GET, else load and SETEX, is the design that we replace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

__all__ = ["default", "get_or_set", "tuned"]


def default(url: str, words: Sequence[str]) -> Callable[[], Any]:
    """Return a function that sends the command `words`, with a client as redis-py makes it."""
    name, *keys = words
    assert name == "MGET"
    client = redis.Redis.from_url(url)
    return lambda: client.mget(keys)


def tuned(url: str, words: Sequence[str]) -> Callable[[], Any]:
    """The same with what costs least: one connection without a pool, the older protocol, no retries."""
    name, *keys = words
    assert name == "MGET"
    client = redis.Redis.from_url(
        url, single_connection_client=True, protocol=2, driver_info=None, retry=Retry(NoBackoff(), 0)
    )
    return lambda: client.mget(keys)


def get_or_set(url: str, key: str, load: Callable[[], bytes], ttl_s: int) -> Callable[[], bytes]:
    """Return a function that answers from the cache or by `load`. Nothing limits loads."""
    client = redis.Redis.from_url(url)

    def answer() -> bytes:
        if body := client.get(key):
            return bytes(body)  # type: ignore[arg-type]
        loaded = load()
        client.setex(key, ttl_s, loaded)
        return loaded

    return answer

"""redis-py, the floor: the command of our hit as a client sends it that only wants the bytes.

It decides nothing, so it serves invalidated and expired answers, and nothing limits loads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

__all__ = ["default", "tuned"]


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

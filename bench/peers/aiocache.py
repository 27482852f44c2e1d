"""aiocache: https://aiocache.aio-libs.org/

`cached` loads in each client. `cached_stampede` is its protection of a key that many ask for at once, a lock with a
lease.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from aiocache import Cache, cached, cached_stampede
from aiocache.serializers import StringSerializer

__all__ = ["get_or_create"]


def get_or_create(
    url: str, key: str, load: Callable[[], Awaitable[str]], ttl_s: float, *, lease_s: float | None = None
) -> Callable[[], Awaitable[str]]:
    """Return a coroutine function that answers from the cache or by `load`."""
    address = urlsplit(url)
    options: dict[str, Any] = {
        "cache": Cache.REDIS,
        "endpoint": address.hostname,
        "port": address.port,
        "serializer": StringSerializer(),
        "key": key,
        "ttl": ttl_s,
    }
    decorate = cached(**options) if lease_s is None else cached_stampede(lease=lease_s, **options)
    return decorate(load)  # type: ignore[no-any-return]

"""cashews: https://github.com/Krukov/cashews. Without `lock`, a key that has expired is loaded by each client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from cashews import Cache

__all__ = ["get_or_create"]


def get_or_create(
    url: str, key: str, load: Callable[[], Awaitable[str]], ttl_s: float, *, lock: bool = False
) -> Callable[[], Awaitable[str]]:
    """Return a coroutine function that answers from the cache or by `load`. cashews always pickles the value."""
    cache = Cache()
    cache.setup(url)
    return cache(ttl=ttl_s, key=key, lock=lock)(load)  # type: ignore[no-any-return]

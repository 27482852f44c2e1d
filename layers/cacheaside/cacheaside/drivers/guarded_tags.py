"""The cache driver of commands behind a breaker: while the cache does not answer, a command does not wait for it.

A command then answers "pending" at once, as it would after its timeout, and the invalidate function drains its changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cacheaside.drivers.breaker import BreakerRules
from cacheaside.drivers.breakers import BreakerOptions, Breakers
from cacheaside.drivers.cache.exchange import NotReplicated
from cacheaside.drivers.cache.tags import TagCache
from cacheaside.errors import CacheUnavailable

__all__ = ["TAGS", "GuardedTagCache"]

# While it is open, readers who reach the cache get old answers until the drain. So the longest pause is short.
TAGS: Final = BreakerRules(pause_ms=100, pause_at_most_ms=5_000)


class GuardedTagCache:
    """A `TagCache` that raises CacheUnavailable at once, without a call, while the breaker is open.

    A cache that is slow is asked all the same: "done" is worth the time. So is one whose replicas do not confirm.
    """

    def __init__(self, cache: TagCache, options: BreakerOptions | None = None) -> None:
        self._cache = cache
        self._breakers = Breakers(TAGS, CacheUnavailable("the cache failed lately"), self._probe, options)

    def invalidate_tags(self, tags: Sequence[str]) -> int:
        """See `TagCache.invalidate_tags`."""
        breaker = self._breakers.admit("")
        try:
            invalidated = self._cache.invalidate_tags(tags)
        except CacheUnavailable as error:
            breaker.record(failed=not isinstance(error.__cause__, NotReplicated))
            raise
        breaker.record(failed=False)
        return invalidated

    def _probe(self, names: set[str]) -> set[str]:
        try:
            self._cache.ping()
        except CacheUnavailable:
            return set()
        return names

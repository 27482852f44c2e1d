"""The cache driver of commands behind a breaker: while the cache does not answer, a command does not wait for it.

A command then answers "pending" at once, as it would after its timeout, and the invalidate function drains its changes.
When the pause is over, the next command asks the cache itself: "done" is worth the time. So it is if the cache is slow,
or if its replicas do not confirm. Neither opens the breaker.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

from redis.exceptions import ResponseError

from cacheaside.clock import FreezeClock
from cacheaside.drivers.breaker import Breaker, BreakerRules
from cacheaside.drivers.cache.exchange import NotReplicated
from cacheaside.drivers.cache.tags import TagCache
from cacheaside.errors import CacheUnavailable

__all__ = ["TAGS", "GuardedTagCache"]

# While it is open, readers who reach the cache get old answers until the drain. So the longest pause is short.
TAGS: Final = BreakerRules(pause_ms=100, pause_at_most_ms=5_000)


class GuardedTagCache:
    """A `TagCache` of one server that raises CacheUnavailable at once, without a call, while the breaker is open.

    Not for a cluster: one server that does not answer would keep the others from invalidating their tags.
    """

    def __init__(
        self,
        cache: TagCache,
        now_ms: Callable[[], int] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._cache = cache
        self._breaker = Breaker(TAGS, now_ms or FreezeClock(), chance, lambda _: None)

    def invalidate_tags(self, tags: Sequence[str]) -> int:
        """See `TagCache.invalidate_tags`."""
        if self._breaker.is_open and not self._breaker.is_due():
            raise CacheUnavailable("the cache failed lately, and is not asked again for a while")
        try:
            invalidated = self._cache.invalidate_tags(tags)
        except CacheUnavailable as error:
            self._breaker.report(failed=not isinstance(error.__cause__, NotReplicated | ResponseError))
            raise
        self._breaker.report(failed=False)
        return invalidated

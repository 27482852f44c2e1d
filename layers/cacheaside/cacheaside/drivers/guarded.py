"""The drivers behind circuit breakers: a server that does not answer is left alone for a while, and not waited for.

A breaker knows what the calls of its own sandbox have found, and nothing of the others: no shared state could be
reached more surely than the servers themselves.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final, TypeVar

from cacheaside.clock import epoch_ms
from cacheaside.drivers.breaker import Breaker, BreakerRules, BreakerState
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.errors import CacheasideError, CacheUnavailable, DatabaseUnavailable
from cacheaside.reading import steps

__all__ = ["CACHE", "DATABASE", "GuardedCache", "GuardedQueries"]

_T = TypeVar("_T")

# One failure may be a connection that went with a node; the second costs another timeout (200 ms) and settles it.
# A probe costs one request the same again, so it may come often: every 30 s at most, about what a failover takes.
CACHE: Final = BreakerRules(failures=2, pause_ms=5_000, pause_at_most_ms=30_000, probe_ms=5_000)

# Without the database a miss fails anyway, so nothing is lost by trying once more, and each pause is kept short: it
# is there to give the 3 s of a silent connect back to the caller, and to spare a server that is just coming up the
# connections of a whole fleet at once. No probe outlives the request that sent it, which has 30 s.
DATABASE: Final = BreakerRules(failures=3, pause_ms=2_000, pause_at_most_ms=10_000, probe_ms=30_000)


class GuardedCache:
    """A `Cache` that raises CacheUnavailable at once, without a call, while the breaker is open."""

    def __init__(
        self,
        cache: Cache,
        on_change: Callable[[BreakerState], object] = lambda _: None,
        now_ms: Callable[[], int] = epoch_ms,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._cache = cache
        self._guard = _Guard(Breaker(CACHE, now_ms, chance, on_change), CacheUnavailable, "cache")

    def look(self, step: steps.Look) -> steps.Looked:
        """See `Cache.look`."""
        return self._guard.call(lambda: self._cache.look(step))

    def acquire(self, step: steps.Acquire) -> steps.Acquired:
        """See `Cache.acquire`."""
        return self._guard.call(lambda: self._cache.acquire(step))

    def store(self, step: steps.Store) -> bool:
        """See `Cache.store`."""
        return self._guard.call(lambda: self._cache.store(step))

    def release(self, step: steps.Release) -> None:
        """See `Cache.release`."""
        return self._guard.call(lambda: self._cache.release(step))

    def ping(self) -> None:
        """Ask the server itself: health is what is, and neither blocked by the breaker nor told to it."""
        self._cache.ping()

    def forget(self) -> None:
        """See `Cache.forget`."""
        self._cache.forget()


class GuardedQueries:
    """A `Queries` that raises DatabaseUnavailable at once, without a call, while the breaker is open."""

    def __init__(
        self,
        queries: Queries,
        on_change: Callable[[BreakerState], object] = lambda _: None,
        now_ms: Callable[[], int] = epoch_ms,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._queries = queries
        self._guard = _Guard(Breaker(DATABASE, now_ms, chance, on_change), DatabaseUnavailable, "database")

    def load(self, step: steps.Load) -> steps.Loaded:
        """See `Queries.load`."""
        return self._guard.call(lambda: self._queries.load(step))

    def ping(self) -> None:
        """Ask the server itself: health is what is, and neither blocked by the breaker nor told to it."""
        self._queries.ping()

    def forget(self) -> None:
        """See `Queries.forget`."""
        self._queries.forget()


class _Guard:
    """Asks the breaker before each call, and tells it the result. Only `failure` is one."""

    def __init__(self, breaker: Breaker, failure: type[CacheasideError], server: str) -> None:
        self._breaker = breaker
        self._failure = failure
        self._server = server

    def call(self, ask: Callable[[], _T]) -> _T:
        ticket = self._breaker.admit()
        if ticket is None:
            raise self._failure(f"the {self._server} did not answer lately, and is left alone for a while")
        try:
            answer = ask()
        except self._failure:
            self._breaker.failed(ticket)
            raise
        except CacheasideError:
            self._breaker.succeeded(ticket)  # a refusal, a timeout of the statement: somebody is there
            raise
        self._breaker.succeeded(ticket)
        return answer

"""The drivers behind circuit breakers: while a server does not answer, calls fail at once and do not wait for it.

Each sandbox has breakers of its own, which see only its own calls. Breakers of a fleet could share their state only on
another server, and that could fail like these.
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

# The first failure may be one dead connection. The second costs another timeout (200 ms), and shows that it is the
# server. A probe costs one timeout too, so probes may be frequent. The longest pause is about as long as a failover.
CACHE: Final = BreakerRules(failures=2, pause_ms=5_000, pause_at_most_ms=30_000, probe_ms=5_000)

# Without the database a miss fails anyway, so a further attempt costs little, and pauses are short. They save callers
# the 3 s of a connect without a reply, and save a starting server the connections of a whole fleet at once. A probe
# ends with its request, which has 30 s.
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

    def renew(self, step: steps.Renew) -> bool:
        """See `Cache.renew`."""
        return self._guard.call(lambda: self._cache.renew(step))

    def store(self, step: steps.Store) -> bool:
        """See `Cache.store`."""
        return self._guard.call(lambda: self._cache.store(step))

    def release(self, step: steps.Release) -> None:
        """See `Cache.release`."""
        return self._guard.call(lambda: self._cache.release(step))

    def ping(self) -> None:
        """Ask the server itself: a health check must see its state, so the breaker neither blocks it nor counts it."""
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

    def load(self, step: steps.Load, renew: Callable[[], object] | None = None) -> steps.Loaded:
        """See `Queries.load`."""
        return self._guard.call(lambda: self._queries.load(step, renew))

    def ping(self) -> None:
        """Ask the server itself: a health check must see its state, so the breaker neither blocks it nor counts it."""
        self._queries.ping()

    def forget(self) -> None:
        """See `Queries.forget`."""
        self._queries.forget()


class _Guard:
    """Asks the breaker before each call, and reports the result. Only the error `failure` counts as a failure."""

    def __init__(self, breaker: Breaker, failure: type[CacheasideError], server: str) -> None:
        self._breaker = breaker
        self._failure = failure
        self._server = server

    def call(self, method: Callable[[], _T]) -> _T:
        ticket = self._breaker.admit()
        if ticket is None:
            raise self._failure(f"the {self._server} did not answer lately, and is not asked again for a while")
        try:
            answer = method()
        except self._failure:
            self._breaker.failed(ticket)
            raise
        except CacheasideError:
            self._breaker.succeeded(ticket)  # a refusal or a statement timeout: the server answers
            raise
        except BaseException:  # a bug, or an interrupt
            self._breaker.abandoned(ticket)
            raise
        self._breaker.succeeded(ticket)
        return answer

"""The drivers behind circuit breakers: while a server does not answer, calls fail at once and do not wait for it.

What a call to the cache may cost depends on what it saves, the load. So each query has a limit and a breaker of its
own: a slow cache is cut off early in front of a fast query, and still serves a slow one. All breakers of a server share
its probe. It runs after the response, so no caller waits for it.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from redis.exceptions import ResponseError

from cacheaside.drivers.breaker import Breaker, BreakerRules
from cacheaside.drivers.breakers import BreakerOptions, Breakers
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.cache.deadline import CALL_S, call_deadline
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.errors import (
    CacheUnavailable,
    DatabaseError,
    DatabaseSilent,
    DatabaseUnavailable,
    EntryTooLarge,
)
from cacheaside.reading import steps

if TYPE_CHECKING:
    from cacheaside.catalogue.catalogue import Catalogue
    from cacheaside.catalogue.columns import RowTypes

__all__ = ["CACHE", "DATABASE", "GuardedCache", "GuardedQueries"]

_log = logging.getLogger(__name__)

_S = TypeVar("_S", steps.Look, steps.Acquire, steps.Renew, steps.Store, steps.Release)
_T = TypeVar("_T")

# The longest pause is about as long as a failover.
CACHE: Final = BreakerRules(pause_ms=100, pause_at_most_ms=30_000)

# Without the database a miss fails anyway, so a further attempt costs little, and pauses are short. They save callers
# the 3 s of a connect without a reply. A server that refuses is asked by each request: it may be back at any moment.
DATABASE: Final = BreakerRules(pause_ms=1_000, pause_at_most_ms=5_000)

# The shortest limit of a step. A shorter one would cut off calls of a healthy cache when the machine is busy.
_LEAST_S: Final = 0.01
# The loads that tell how long a load takes. One of a sandbox that had to connect first must not decide.
_LOADS: Final = 5
# How long a sandbox is patient with a slow cache after PostgreSQL had no room for a load of its own.
_CROWDED_MS: Final = 10_000
# How long an entry that was too large is not asked for again, and of how many entries a sandbox remembers that.
_LEFT_OUT_MS: Final = 10_000
_TOO_LARGE_AT_MOST: Final = 100
# A server that refuses a command mostly refuses it in each request. One line in this time tells why.
_REFUSED_AGAIN_MS: Final = 10_000


class GuardedCache:
    """A `Cache` that raises CacheUnavailable at once, without a call, while the breaker of the query is open.

    It cuts off each step after as long as the query's loads take: at least 10 ms, at most `CALL_S`. No breaker counts
    an error that the server replied: it comes at once, and hits go on. Nor a value that is too large, which says
    nothing about the server: its entry is left out for a while.
    """

    def __init__(self, cache: Cache, options: BreakerOptions | None = None) -> None:
        options = options or BreakerOptions()
        self._cache = cache
        self._breakers = Breakers(CACHE, CacheUnavailable("the cache failed lately"), self._probe, options)
        # By query, so never more than the catalogue has.
        self._last_loads_ms: dict[str, deque[int]] = {}
        self._load_s: dict[str, float] = {}  # their median
        self._is_reached = True  # no step has failed since the last one that succeeded
        self._now_ms = options.now_ms
        self._crowded_until_ms = 0  # PostgreSQL has no room for loads that bypass the cache
        self._too_large: dict[str, int] = {}  # until when an entry is left out, by its key
        self._refusal_known_until_ms = 0

    def note_load(self, query: str, load_ms: int) -> None:
        """Take note of how long the load of an answer took that this process has returned."""
        last = self._last_loads_ms.setdefault(query, deque(maxlen=_LOADS))
        last.append(load_ms)
        self._load_s[query] = sorted(last)[len(last) // 2] / 1000

    def note_overload(self) -> None:
        """Take note that a load that bypassed the cache found no room: a slow answer of the cache is better for now."""
        self._crowded_until_ms = self._now_ms() + _CROWDED_MS

    def look(self, step: steps.Look) -> steps.Looked:
        """See `Cache.look`. Neither a breaker nor the time of a load limits the last chance of a read."""
        if step.is_last_chance:
            with call_deadline(CALL_S, CALL_S):
                return self._cache.look(step)
        return self._run(self._cache.look, step)

    def acquire(self, step: steps.Acquire) -> steps.Acquired:
        """See `Cache.acquire`."""
        return self._run(self._cache.acquire, step)

    def renew(self, step: steps.Renew) -> bool:
        """See `Cache.renew`. No breaker counts it or stops it: no caller waits for it, since the load runs anyway."""
        limit_s = self._limit_s(step.keys.query)
        with call_deadline(limit_s, min(limit_s, CALL_S)):
            return self._cache.renew(step)

    def store(self, step: steps.Store) -> bool:
        """See `Cache.store`."""
        return self._run(self._cache.store, step)

    def release(self, step: steps.Release) -> None:
        """See `Cache.release`. No breaker stops it: it gives back the lease of a step that may have opened one."""
        query = step.keys.query
        return self._call(self._cache.release, step, query, self._breakers.named(query))

    def ping(self) -> None:
        """Ask the server itself: a health check must see its state, so the breaker neither blocks it nor counts it."""
        self._cache.ping()

    def forget(self) -> None:
        """See `Cache.forget`."""
        self._cache.forget()

    def _run(self, method: Callable[[_S], _T], step: _S) -> _T:
        query, key = step.keys.query, step.keys.entry
        breaker = self._breakers.admit(query)
        if self._too_large and self._now_ms() < self._too_large.get(key, 0):
            raise EntryTooLarge("the value was too large for a call lately")
        try:
            return self._call(method, step, query, breaker)
        except EntryTooLarge:
            if len(self._too_large) >= _TOO_LARGE_AT_MOST:
                self._too_large.clear()
            self._too_large[key] = self._now_ms() + _LEFT_OUT_MS
            # A foreign value of that size would stay. Nothing is deleted if it may be one of ours.
            limit_s = self._limit_s(query)
            with suppress(CacheUnavailable), call_deadline(limit_s, min(limit_s, CALL_S)):
                self._cache.drop_oversized(step.keys)
            raise

    def _call(self, method: Callable[[_S], _T], step: _S, query: str, breaker: Breaker) -> _T:
        limit_s = self._limit_s(query)
        # After a failure, only the probe takes the time to open a slow connection.
        try:
            with call_deadline(limit_s, float("inf") if self._is_reached else limit_s) as call:
                result = method(step)
        except EntryTooLarge:
            raise
        except CacheUnavailable as error:
            if isinstance(error.__cause__, ResponseError):
                self._log_refusal(error.__cause__)
            else:
                self._is_reached = False
                breaker.record(failed=True)
            raise
        self._is_reached = True
        breaker.record(failed=call.opening_took_s > call.limit_s)  # the caller has felt it
        return result

    def _log_refusal(self, error: ResponseError) -> None:
        """Log why, at most once in 10 s. Callers get an answer without the cache, so no other line tells it."""
        now_ms = self._now_ms()
        if now_ms >= self._refusal_known_until_ms:
            self._refusal_known_until_ms = now_ms + _REFUSED_AGAIN_MS
            _log.warning("the cache refuses a command: %s", error)

    def _limit_s(self, query: str) -> float:
        if self._crowded_until_ms and self._now_ms() < self._crowded_until_ms:
            return float("inf")
        return max(self._load_s.get(query, float("inf")), _LEAST_S)

    def _probe(self, queries: set[str]) -> set[str]:
        began = time.monotonic()
        try:
            with call_deadline(max(map(self._limit_s, queries))) as call:
                self._cache.ping()
        except CacheUnavailable:
            return set()
        self._is_reached = True
        took_s = time.monotonic() - began - call.opening_took_s
        return {query for query in queries if took_s <= self._limit_s(query)}


class GuardedQueries:
    """A `Queries` that raises DatabaseUnavailable at once, without a call, while the breaker is open.

    Only silence opens it. A refusal costs a caller nothing, and PostgreSQL may be back with the next request. A sandbox
    that has had no request for a while asks again itself: its caller would get an error for an outage that is over.
    """

    def __init__(self, queries: Queries, options: BreakerOptions | None = None) -> None:
        self._queries = queries
        unavailable = DatabaseUnavailable("the database did not answer lately")
        self._breakers = Breakers(DATABASE, unavailable, self._probe, options)
        self._row_types: RowTypes = {}

    def load(self, step: steps.Load, renew: Callable[[], object] | None = None) -> steps.Loaded:
        """See `Queries.load`."""
        breaker = self._breakers.named("")
        if not breaker.is_overdue():
            self._breakers.admit("")
        try:
            loaded = self._queries.load(step, renew)
        except DatabaseError as error:
            breaker.report(failed=isinstance(error, DatabaseSilent))
            raise
        breaker.report(failed=False)
        return loaded

    def ping(self) -> None:
        """Ask the server itself: a health check must see its state, so the breaker neither blocks it nor counts it."""
        self._queries.ping()

    def row_types(self, catalogue: Catalogue) -> RowTypes:
        """See `Queries.row_types`. The breaker counts no failure of it: it is for documents, which do without.

        They are kept once all are there. On one machine, an edited statement is described a moment after a request.
        """
        if len(self._row_types) < len(catalogue.queries) + len(catalogue.commands):
            self._breakers.admit("")
            self._row_types = self._queries.row_types(catalogue)
        return self._row_types

    def forget(self) -> None:
        """See `Queries.forget`."""
        self._queries.forget()

    def _probe(self, names: set[str]) -> set[str]:
        try:
            self._queries.ping()
        except DatabaseSilent:
            return set()
        except DatabaseError:
            pass  # a refusal, which comes at once
        return names

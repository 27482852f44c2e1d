"""The drivers behind circuit breakers: while a server does not answer, calls fail at once and do not wait for it.

What a call to the cache may cost depends on what it saves, the load. So each query has a limit and a breaker of its
own: a slow cache is cut off early in front of a fast query, and still serves a slow one. All breakers of a server share
its probe. It runs after the response, so no caller waits for it.

Each sandbox has breakers of its own, which see only its own calls. Breakers of a fleet could share their state only on
another server, and that could fail like these.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeVar

from cacheaside.clock import FreezeClock
from cacheaside.drivers.breaker import Breaker, BreakerRules
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.cache.deadline import call_deadline
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.errors import (
    CacheasideError,
    CacheUnavailable,
    DatabaseError,
    DatabaseSilent,
    DatabaseUnavailable,
    EntryTooLarge,
)
from cacheaside.reading import steps
from cacheaside.reading.keys import query_name

__all__ = ["CACHE", "DATABASE", "PROBE_MS", "BreakerOptions", "GuardedCache", "GuardedQueries"]

_S = TypeVar("_S", steps.Look, steps.Acquire, steps.Renew, steps.Store, steps.Release)
_T = TypeVar("_T")

# The longest pause is about as long as a failover.
CACHE: Final = BreakerRules(pause_ms=100, pause_at_most_ms=30_000)

# Without the database a miss fails anyway, so a further attempt costs little, and pauses are short. They save callers
# the 3 s of a connect without a reply. A server that refuses is asked by each request: it may be back at any moment.
DATABASE: Final = BreakerRules(pause_ms=1_000, pause_at_most_ms=5_000)

# A probe takes at most this long: it opens a connection (3 s for PostgreSQL) and sends a ping (1 s).
PROBE_MS: Final = 5_000

# The shortest limit of a step. On a machine with twice as many running processes as cores, 0.2 % of looks took longer.
_LEAST_S: Final = 0.01
# The loads that tell how long a load takes. One of a sandbox that had to connect first must not decide.
_LOADS: Final = 5


def _at_once(task: Callable[[], None]) -> None:
    task()


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerOptions:
    """What breakers need from their surroundings. `later` runs a probe after the response, and may drop it.

    `on_open` is told of each opening, with the length of the pause in ms. `now_ms` is a clock that is never set back.
    """

    later: Callable[[Callable[[], None]], object] = _at_once
    on_open: Callable[[int], object] = lambda _: None
    now_ms: Callable[[], int] = field(default_factory=FreezeClock)
    chance: Callable[[], float] = random.random


class GuardedCache:
    """A `Cache` that raises CacheUnavailable at once, without a call, while the breaker of the query is open.

    It cuts off each step after as long as the query's loads take: at least 10 ms, at most `CALL_S`. A value that is too
    large says nothing about the server, so no breaker counts it.
    """

    def __init__(self, cache: Cache, options: BreakerOptions | None = None) -> None:
        self._cache = cache
        self._breakers = _Breakers(CACHE, CacheUnavailable("the cache failed lately"), self._probe, options)
        # By query, so never more than the catalogue has.
        self._last_loads_ms: dict[str, deque[int]] = {}
        self._load_s: dict[str, float] = {}  # their median
        self._is_reached = True  # no step has failed since the last one that succeeded

    def note_load(self, query: str, load_ms: int) -> None:
        """Take note of how long the load of an answer took that this process has returned."""
        last = self._last_loads_ms.setdefault(query, deque(maxlen=_LOADS))
        last.append(load_ms)
        self._load_s[query] = sorted(last)[len(last) // 2] / 1000

    def look(self, step: steps.Look) -> steps.Looked:
        """See `Cache.look`."""
        return self._run(self._cache.look, step)

    def acquire(self, step: steps.Acquire) -> steps.Acquired:
        """See `Cache.acquire`."""
        return self._run(self._cache.acquire, step)

    def renew(self, step: steps.Renew) -> bool:
        """See `Cache.renew`."""
        return self._run(self._cache.renew, step)

    def store(self, step: steps.Store) -> bool:
        """See `Cache.store`."""
        return self._run(self._cache.store, step)

    def release(self, step: steps.Release) -> None:
        """See `Cache.release`."""
        return self._run(self._cache.release, step)

    def ping(self) -> None:
        """Ask the server itself: a health check must see its state, so the breaker neither blocks it nor counts it."""
        self._cache.ping()

    def forget(self) -> None:
        """See `Cache.forget`."""
        self._cache.forget()

    def _run(self, method: Callable[[_S], _T], step: _S) -> _T:
        query = query_name(step.keys.entry)
        breaker = self._breakers.admit(query)
        limit_s = self._limit_s(query)
        # After a failure, only the probe takes the time to open a slow connection.
        try:
            with call_deadline(limit_s, float("inf") if self._is_reached else limit_s) as call:
                result = method(step)
        except EntryTooLarge:
            with suppress(CacheUnavailable):  # each look would find a foreign value of that size as slow
                self._cache.drop_oversized(step.keys)
            raise
        except CacheUnavailable:
            self._is_reached = False
            breaker.record(failed=True)
            raise
        self._is_reached = True
        breaker.record(failed=call.opening_took_s > call.limit_s)  # the caller has felt it
        return result

    def _limit_s(self, query: str) -> float:
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

    Only silence opens it. A refusal costs a caller nothing, and PostgreSQL may be back with the next request.
    """

    def __init__(self, queries: Queries, options: BreakerOptions | None = None) -> None:
        self._queries = queries
        unavailable = DatabaseUnavailable("the database did not answer lately")
        self._breakers = _Breakers(DATABASE, unavailable, self._probe, options)

    def load(self, step: steps.Load, renew: Callable[[], object] | None = None) -> steps.Loaded:
        """See `Queries.load`."""
        breaker = self._breakers.admit("")
        try:
            loaded = self._queries.load(step, renew)
        except DatabaseError as error:
            breaker.record(failed=isinstance(error, DatabaseSilent))
            raise
        breaker.record(failed=False)
        return loaded

    def ping(self) -> None:
        """Ask the server itself: a health check must see its state, so the breaker neither blocks it nor counts it."""
        self._queries.ping()

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


class _Breakers:
    """The breakers before one server, by name, and their one probe.

    `probe` asks the server, and returns those of the names whose breakers that closes.
    """

    def __init__(
        self,
        rules: BreakerRules,
        refusal: CacheasideError,
        probe: Callable[[set[str]], set[str]],
        options: BreakerOptions | None,
    ) -> None:
        self._rules = rules
        self._refusal = refusal
        self._probe = probe
        self._options = options or BreakerOptions()
        self._breakers: dict[str, Breaker] = {}
        self._probe_lost_ms = 0  # when the last probe that was submitted counts as dropped, unless it has run

    def admit(self, name: str) -> Breaker:
        """Return the breaker of that name, for the result of the call. Raises the refusal if it is open.

        If its pause is over, a probe is submitted. It is not this call: no caller waits for a probe.
        """
        breaker = self._breakers.get(name)
        if breaker is None:
            options = self._options
            breaker = self._breakers[name] = Breaker(self._rules, options.now_ms, options.chance, options.on_open)
        if breaker.is_open:
            if breaker.is_due() and self._options.now_ms() >= self._probe_lost_ms:
                self._probe_lost_ms = self._options.now_ms() + PROBE_MS
                self._options.later(self._run_probe)
            raise type(self._refusal)(f"{self._refusal}, and is not asked again for a while")
        return breaker

    def _run_probe(self) -> None:
        try:
            names = {name for name, breaker in self._breakers.items() if breaker.is_open}
            answered = self._probe(names)
            for name in names:
                self._breakers[name].probed(answered=name in answered)
        finally:
            self._probe_lost_ms = 0

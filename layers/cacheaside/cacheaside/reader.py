"""The loop that runs the read path against a cache and a database, and times both."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Protocol

from cacheaside import steps
from cacheaside.catalogue import BoundQuery
from cacheaside.errors import CacheasideError
from cacheaside.outcome import Outcome
from cacheaside.read_path import Clock, RandomBytes, read

__all__ = ["Answer", "EntryStore", "Loader", "Reader", "epoch_ms"]


class EntryStore(Protocol):
    """The cache side of the read path: each method is one step, one round trip, or CacheUnavailable."""

    def look(self, step: steps.Look) -> steps.Looked: ...
    def acquire(self, step: steps.Acquire) -> steps.Acquired: ...
    def store(self, step: steps.Store) -> bool: ...
    def release(self, step: steps.Release) -> object: ...


class Loader(Protocol):
    """The database side of the read path: one load, or DatabaseError."""

    def load(self, step: steps.Load) -> steps.Loaded: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """An outcome, the moment it was reached, and what it cost. `database_ms` is None when PostgreSQL was not asked."""

    outcome: Outcome
    at_ms: int
    cache_ms: float
    database_ms: float | None
    total_ms: float


def epoch_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Reader:
    """Answers bound queries. Holds nothing between two reads but its two drivers."""

    def __init__(
        self,
        cache: EntryStore,
        database: Loader,
        now_ms: Clock = epoch_ms,
        random: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._cache = cache
        self._database = database
        self._now_ms = now_ms
        self._random = random

    def read(self, bound: BoundQuery) -> Answer:
        """Return the answer to `bound`. Raises DatabaseError when nothing but a failed load could answer."""
        began = time.perf_counter()
        cache_s = database_s = 0.0
        path = read(bound, self._now_ms, self._random)
        step = next(path)
        while True:
            started = time.perf_counter()
            result = self._attempt(step)
            took = time.perf_counter() - started
            if isinstance(step, steps.Load):
                database_s += took
            else:
                cache_s += took
            try:
                step = path.throw(result) if isinstance(result, CacheasideError) else path.send(result)
            except StopIteration as done:
                outcome: Outcome = done.value
                break
        return Answer(
            outcome=outcome,
            at_ms=self._now_ms(),
            cache_ms=cache_s * 1000,
            database_ms=database_s * 1000 or None,
            total_ms=(time.perf_counter() - began) * 1000,
        )

    def _attempt(self, step: steps.Step) -> object:
        """Do one step; what it raises is returned, because it is the read path that decides what it means."""
        try:
            match step:
                case steps.Look():
                    return self._cache.look(step)
                case steps.Acquire():
                    return self._cache.acquire(step)
                case steps.Load():
                    return self._database.load(step)
                case steps.Store():
                    return self._cache.store(step)
                case steps.Release():
                    return self._cache.release(step)
        except CacheasideError as error:
            return error

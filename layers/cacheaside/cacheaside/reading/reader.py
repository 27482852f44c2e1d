"""The loop that runs the read path against a cache and a database, and times both."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from cacheaside.catalogue.statements import BoundQuery
from cacheaside.errors import CacheasideError
from cacheaside.reading import steps
from cacheaside.reading.entry import TOKEN_BYTES
from cacheaside.reading.local_level import LocalLevel
from cacheaside.reading.outcome import Outcome, Refresh, Source
from cacheaside.reading.read_path import Surroundings, read

__all__ = ["Answer", "EntryStore", "Loader", "Reader", "epoch_ms"]

_T = TypeVar("_T")


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


@dataclass(slots=True)
class _Spent:
    cache_s: float = 0.0
    database_s: float = 0.0
    began: float = field(default_factory=time.perf_counter)


def epoch_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Reader:
    """Answers bound queries. Holds nothing between two reads but its drivers, and the first level where that is on."""

    def __init__(self, cache: EntryStore, database: Loader, now_ms: Callable[[], int] = epoch_ms) -> None:
        self._cache = cache
        self._database = database
        self._now_ms = now_ms
        self._local = LocalLevel()

    def read(self, bound: BoundQuery, time_left_ms: Callable[[], int]) -> Answer:
        """Return the answer to `bound`, in less than `time_left_ms` says.

        Raises DatabaseError when nothing but a failed load could answer, WaitedTooLong when another's load takes long.
        """
        spent, local_ms = _Spent(), bound.query.policy.local_ms
        if local_ms and (kept := self._local.get(bound.keys.entry, self._now_ms())):
            return self._answer(Outcome(source=Source.LOCAL, entry=kept), spent)
        around = Surroundings(self._now_ms, lambda: secrets.token_bytes(TOKEN_BYTES), random.random, time_left_ms)
        outcome = self._run(read(bound, around), spent)
        self._local.keep(bound.keys.entry, outcome.entry, self._now_ms(), local_ms)
        return self._answer(outcome, spent)

    def _answer(self, outcome: Outcome, spent: _Spent) -> Answer:
        return Answer(
            outcome=outcome,
            at_ms=self._now_ms(),
            cache_ms=spent.cache_s * 1000,
            database_ms=spent.database_s * 1000 or None,
            total_ms=(time.perf_counter() - spent.began) * 1000,
        )

    def refresh(self, refresh: Refresh) -> bool:
        """Run the refresh that an outcome carries. Returns whether it was stored. Raises CacheasideError."""
        return self._run(refresh, _Spent())

    def _run(self, path: Generator[steps.Step, Any, _T], spent: _Spent) -> _T:
        step = next(path)
        while True:
            result = self._attempt(step, spent)
            try:
                step = path.throw(result) if isinstance(result, CacheasideError) else path.send(result)
            except StopIteration as done:
                value: _T = done.value
                return value

    def _attempt(self, step: steps.Step, spent: _Spent) -> object:
        """Do one step; what it raises is returned, because it is the read path that decides what it means."""
        began = time.perf_counter()
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
                case steps.Wait():
                    time.sleep(step.ms / 1000)
                    return None
        except CacheasideError as error:
            return error
        finally:
            took = time.perf_counter() - began
            if isinstance(step, steps.Load):
                spent.database_s += took
            elif not isinstance(step, steps.Wait):
                spent.cache_s += took

"""The loop that runs the read path against a cache and a database, and times both."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar

from cacheaside.clock import epoch_ms, monotonic_ms
from cacheaside.errors import CacheasideError, Overloaded
from cacheaside.reading import steps
from cacheaside.reading.entry import TOKEN_BYTES
from cacheaside.reading.fill import ReadContext, load
from cacheaside.reading.local_level import LocalLevel
from cacheaside.reading.outcome import Outcome, Refresh, Source
from cacheaside.reading.question import Question
from cacheaside.reading.read_path import read
from cacheaside.reading.steps import EntryStore, Loader

__all__ = ["Answer", "Reader"]

_T = TypeVar("_T")


class Answer(NamedTuple):
    """An outcome, its moment, and the time it took. `database_ms` is None if PostgreSQL was not asked."""

    outcome: Outcome
    at_ms: int
    cache_ms: float
    database_ms: float | None
    total_ms: float


class _Spent:
    __slots__ = ("began", "cache_s", "database_s")

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.cache_s = self.database_s = 0.0


class Reader:
    """Answers questions. Between two reads it keeps only its drivers, and the first level where a query has that on."""

    def __init__(
        self,
        cache: EntryStore,
        loader: Loader,
        now_ms: Callable[[], int] = epoch_ms,
        elapsed_ms: Callable[[], int] = monotonic_ms,
        note_load: Callable[[str, int], object] = lambda _name, _ms: None,
        note_overload: Callable[[], object] = lambda: None,
    ) -> None:
        """`note_load` is told the name of a query and its load time in ms, with each answer.

        `note_overload` is told when PostgreSQL had no room for a load because the cache was unavailable.
        """
        self._cache = cache
        self._loader = loader
        self._now_ms = now_ms
        self._elapsed_ms = elapsed_ms
        self._note_load = note_load
        self._note_overload = note_overload
        self._local = LocalLevel()

    def read(self, question: Question, time_left_ms: Callable[[], int]) -> Answer:
        """Return the answer to `question`, before `time_left_ms` is over.

        Raises DatabaseError if only a load could answer and it failed, WaitedTooLong if another's load takes long.
        """
        spent, local_ms = _Spent(), question.query.policy.local_ms
        if local_ms and (kept := self._local.get(question.keys.entry, self._now_ms())):
            return self._answer(Outcome(source=Source.LOCAL, entry=kept), spent)
        outcome = self._run(read(question, self._context(time_left_ms)), spent)
        self._note_load(question.query.name, outcome.entry.load_ms)
        if local_ms:
            self._local.keep(question.keys.entry, outcome.entry, self._now_ms(), local_ms)
        return self._answer(outcome, spent)

    def read_direct(self, question: Question, time_left_ms: Callable[[], int]) -> Answer:
        """Return the answer that PostgreSQL gives now, before `time_left_ms` is over. Raises DatabaseError.

        The cache is neither asked nor filled. Nor does it learn from this load how long loads take: callers choose how
        many of them compete.
        """
        spent = _Spent()
        path = load(question, self._context(time_left_ms), _new_token(), None, direct=True)
        return self._answer(Outcome(source=Source.DIRECT, entry=self._run(path, spent)), spent)

    def _context(self, time_left_ms: Callable[[], int]) -> ReadContext:
        return ReadContext(self._now_ms, self._elapsed_ms, _new_token, random.random, time_left_ms)

    def _answer(self, outcome: Outcome, spent: _Spent) -> Answer:
        return Answer(
            outcome=outcome,
            at_ms=self._now_ms(),
            cache_ms=spent.cache_s * 1000,
            database_ms=spent.database_s * 1000 or None,
            total_ms=(time.perf_counter() - spent.began) * 1000,
        )

    def refresh(self, refresh: Refresh) -> bool:
        """Run the refresh of an outcome. Returns whether the entry was stored. Raises CacheasideError."""
        return self._run(refresh.path, _Spent(), refresh.release)

    def release(self, refresh: Refresh) -> None:
        """Release the lease of a refresh that will not run, so that another request can. Raises CacheasideError."""
        self._cache.release(refresh.release)

    def _run(self, path: Generator[steps.Step, Any, _T], spent: _Spent, release: steps.Release | None = None) -> _T:
        """Do the steps of `path`, and return its result. `release` gives back the lease that it holds, or may hold.

        An error of this library is thrown into the path, which decides what becomes of the lease. Any other, such as a
        bug or an interrupt, ends the path wherever it comes from. Then others must not wait for its load.
        """
        try:
            step = next(path)
            while True:
                if isinstance(step, steps.Acquire):
                    release = steps.Release(step.keys, step.token)
                result = self._attempt(step, spent)
                try:
                    step = path.throw(result) if isinstance(result, CacheasideError) else path.send(result)
                except StopIteration as done:
                    value: _T = done.value
                    return value
        except CacheasideError:
            raise
        except BaseException:
            if release is not None:
                with suppress(Exception):  # the first error is the one to report
                    self._cache.release(release)
            raise

    def _attempt(self, step: steps.Step | steps.Renew, spent: _Spent) -> object:
        """Do one step. An error is returned, because the read path decides what it means."""
        began = time.perf_counter()
        try:
            match step:
                case steps.Look():
                    return self._cache.look(step)
                case steps.Acquire():
                    return self._cache.acquire(step)
                case steps.Load(renew=renew):
                    return self._loader.load(step, partial(self._attempt, renew, spent) if renew else None)
                case steps.Renew():
                    return self._cache.renew(step)
                case steps.Store():
                    return self._cache.store(step)
                case steps.Release():
                    return self._cache.release(step)
                case steps.Wait():
                    time.sleep(step.ms / 1000)
                    return None
        except CacheasideError as error:
            if isinstance(error, Overloaded) and not (isinstance(step, steps.Load) and step.direct):
                self._note_overload()
            return error
        finally:
            took = time.perf_counter() - began
            if isinstance(step, steps.Load):
                spent.database_s += took  # with the renewals, which are short
            elif not isinstance(step, steps.Wait | steps.Renew):
                spent.cache_s += took


def _new_token() -> bytes:
    return secrets.token_bytes(TOKEN_BYTES)

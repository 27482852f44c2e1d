"""The API's processes: readers, which check every answer against the history, and writers, which record in it.

They call the library as the handlers do. `fault_injection` kills any of them at any instant. A writer also sometimes
kills itself, through its cache, between COMMIT and the invalidation of the committed change.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from operator import lt
from typing import Any, Final, NamedTuple

from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.cache.tags import ConfirmedTagCache
from cacheaside.drivers.guarded import GuardedCache, GuardedQueries
from cacheaside.drivers.postgres.commands import Commands
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.errors import CacheasideError, WaitedTooLong
from cacheaside.reading.entry import unpack
from cacheaside.reading.outcome import Source
from cacheaside.reading.question import Question
from cacheaside.reading.reader import Reader
from cacheaside.reading.steps import Load, Loaded
from cacheaside.settings import CacheSettings, DatabaseSettings
from cacheaside.writing.writer import Invalidation, Writer
from proofs.consistency.defects import Defect, InvalidateFirstCommands, NoOpCache
from proofs.consistency.history import ROWS, Count, History
from proofs.consistency.register import GENERATION
from proofs.consistency.system import SystemUnderTest

__all__ = ["Answered", "CrashingCache", "random_row", "read_values", "run_api_reader", "run_api_writer"]

_CRASHES: Final = 0.004  # share of the writes
_READS_ALL: Final = 0.05  # share of the reads; nearly each of these is a load
_READS_GENERATION: Final = 0.05  # the same: each change of the schema invalidates it
_HOT_ROWS: Final = 8


class Answered(NamedTuple):
    """The values that the API answers for one row or all, the answer's source, and how long the caller waited."""

    values: list[int]
    source: Source
    ms: float


class _RecordedQueries(Queries):
    """Records in the history that a load is running whose lease this process holds."""

    def __init__(self, settings: DatabaseSettings, history: History, reader: int) -> None:
        super().__init__(settings)
        self._history, self._reader = history, reader

    def load(self, step: Load, renew: Callable[[], object] | None = None) -> Loaded:
        if renew is None:
            return super().load(step)
        with self._history.loading(self._reader):
            return super().load(step, renew)


class CrashingCache(ConfirmedTagCache):
    """Kills the process with probability `chance` after COMMIT, before the change is invalidated."""

    def __init__(self, settings: CacheSettings, chance: float, history: History, worker: int) -> None:
        super().__init__(settings)
        self._chance, self._history, self._worker = chance, history, worker

    def invalidate_tags(self, tags: Sequence[str]) -> int:
        if random.random() < self._chance:
            self._history.count(self._worker, Count.KILLED_UNDRAINED)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().invalidate_tags(tags)


def run_api_reader(number: int, system: SystemUnderTest, history: History) -> None:
    """Read until killed, and compare each answer with the writes that were acknowledged before the read began."""
    random.seed()
    history.count_killed_loading(number)
    reader = _reader(number, system, history)
    rows = [Question(system.catalogue.query("one"), {"id": row}) for row in range(ROWS + 1)]
    every = Question(system.catalogue.query("all"), {})
    while True:
        row = _row_to_read()
        question = every if row is None else rows[row]
        bounds = history.read_bounds(row)
        try:
            values, source, ms = read_values(reader, question)
        except CacheasideError as error:
            history.count(number, Count.READ_FAILED)
            history.count(number, Count.WAITED_TOO_LONG, isinstance(error, WaitedTooLong))
            time.sleep(0.01)
            continue
        in_window = history.in_window(bounds)
        violation = _older(values, bounds.done) or (not in_window and _older(values, bounds.drained))
        history.count(number, Count.READ)
        history.count_source(number, source)
        history.record_answered(number, ms)
        if row is None:
            history.count(number, Count.READ_ALL)
        if in_window:
            history.count(number, Count.READ_IN_WINDOW)
            if not violation and _older(values, bounds.drained):
                history.count(number, Count.STALE_IN_WINDOW)
        if violation:
            history.count(number, Count.VIOLATION)
            with system.violations.open("a", encoding="utf-8") as file:
                file.write(f"{source.name}: row {row} read as {values}, {in_window=}, {bounds}\n")


def _reader(number: int, system: SystemUnderTest, history: History) -> Reader:
    """Return the reader of the function for the first process. Behind breakers it mostly bypasses a cache that fails.

    The others have none, so that most reads meet the faults.
    """
    cache, queries = Cache(system.cache), _RecordedQueries(system.query, history, number)
    if number > 0:
        return Reader(cache, queries)
    guarded = GuardedCache(cache)
    return Reader(guarded, GuardedQueries(queries), note_load=guarded.note_load, note_overload=guarded.note_overload)


def run_api_writer(number: int, worker: int, system: SystemUnderTest, history: History, defect: Defect | None) -> None:
    """Write until killed. A "done" is acknowledged here; a "pending" by the outbox checker when it is drained."""
    random.seed()
    command = system.catalogue.command("increment")
    writer = _writer(worker, system, history, defect)
    while True:
        row = random_row()
        try:
            written = writer.write(command, {"id": row})
        except CacheasideError:
            history.count(worker, Count.WRITE_FAILED)
            time.sleep(0.01)
            continue
        if (
            written.body is None
        ):  # it waited for a transaction that replaced the row: old row deleted, new one not visible
            history.count(worker, Count.WROTE_NOTHING)
        elif written.invalidation is Invalidation.DONE:
            history.acknowledge_done(number, row, json.loads(written.body)["data"]["value"])
            history.count(worker, Count.DONE)
        else:
            history.count(worker, Count.PENDING)
        time.sleep(random.random() * 0.05)


def _writer(worker: int, system: SystemUnderTest, history: History, defect: Defect | None) -> Writer:
    cache = CrashingCache(system.confirmed_cache, _CRASHES, history, worker)
    if defect is Defect.INVALIDATED_BEFORE_COMMIT:
        return Writer(NoOpCache(), InvalidateFirstCommands(system.command, Cache(system.cache)))
    if defect is Defect.DONE_UNCONFIRMED:
        return Writer(Cache(system.cache), Commands(system.command))
    return Writer(cache, Commands(system.command))


def read_values(reader: Reader, question: Question) -> Answered:
    """Ask as the API does, and then run the refresh, if the answer elected this process. Raises CacheasideError."""
    answer = reader.read(question, lambda: 29_000)
    outcome = answer.outcome
    if outcome.refresh is not None:
        with suppress(CacheasideError):
            reader.refresh(outcome.refresh)
    if outcome.entry.body is None:
        return Answered([], outcome.source, answer.total_ms)
    data: dict[str, Any] = json.loads(unpack(outcome.entry.encoding, outcome.entry.body))["data"]
    values = (data["values"] or []) if "values" in data else [data["value"]]
    return Answered(values, outcome.source, answer.total_ms)


def random_row() -> int:
    """Return a row, most often one of a few, so that processes conflict."""
    return random.randrange(_HOT_ROWS if random.random() < 0.6 else ROWS)


def _row_to_read() -> int | None:
    """Return None for all rows."""
    chance = random.random()
    if chance < _READS_ALL:
        return None
    return GENERATION if chance < _READS_ALL + _READS_GENERATION else random_row()


def _older(values: Sequence[int], bounds: Sequence[int]) -> bool:
    """Return whether any value is below its bound. Every row always exists, so a missing one is stale, too."""
    return len(values) < len(bounds) or any(map(lt, values, bounds))

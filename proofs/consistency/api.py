"""The API's processes: readers, who check what they are shown, and writers, whose word is what is checked.

They run the library as the handlers do. Any of them may be killed at any instant; a writer is also killed, now and
then, by its own cache when it is about to take out what it has just committed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import lt
from pathlib import Path
from typing import Any, Final

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.statements import BoundQuery
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.commands import Commands
from cacheaside.drivers.postgres.queries import Database
from cacheaside.errors import CacheasideError
from cacheaside.reading.entry import unpack
from cacheaside.reading.outcome import Source
from cacheaside.reading.reader import Reader
from cacheaside.settings import CacheSettings, DatabaseSettings
from cacheaside.writing.writer import Invalidation, Writer
from proofs.consistency.broken import Broken, EagerCommands, Untold
from proofs.consistency.ledger import ROWS, Happened, Ledger

__all__ = ["Servers", "random_row", "read_values", "run_reader", "run_writer"]

_DIES_UNDRAINED: Final = 0.004  # of the writes
_READS_ALL: Final = 0.05  # nearly each is a load
_HOT_ROWS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Where everything is, for one run."""

    cache: CacheSettings
    confirmed: CacheSettings  # the same, with as many replicas as a "done" must have reached
    query: DatabaseSettings
    command: DatabaseSettings
    invalidate: DatabaseSettings
    owner_url: str
    catalogue: Catalogue
    violations: Path  # a line for each, for whoever has to find out


class LethalCache(Cache):
    """Kills the process, now and then, where a write is committed and nothing of it has been taken out."""

    def __init__(self, settings: CacheSettings, chance: float, ledger: Ledger, worker: int) -> None:
        super().__init__(settings)
        self._chance, self._ledger, self._worker = chance, ledger, worker

    def invalidate_tags(self, tags: Sequence[str]) -> int:
        if random.random() < self._chance:
            self._ledger.count(self._worker, Happened.DIED_UNDRAINED)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().invalidate_tags(tags)


def run_reader(number: int, servers: Servers, ledger: Ledger) -> None:
    """Read until killed, and compare each answer with what had been acknowledged before."""
    random.seed()
    reader = Reader(Cache(servers.cache), Database(servers.query))
    rows = [BoundQuery(servers.catalogue.query("one"), {"id": row}) for row in range(ROWS)]
    every = BoundQuery(servers.catalogue.query("all"), {})
    while True:
        row = None if random.random() < _READS_ALL else random_row()
        bound = every if row is None else rows[row]
        seen = ledger.seen(row)
        try:
            values, source = read_values(reader, bound)
        except CacheasideError:
            ledger.count(number, Happened.READ_FAILED)
            time.sleep(0.01)
            continue
        in_window = ledger.in_window(seen)
        went_back = _older(values, seen.strict) or (not in_window and _older(values, seen.drained))
        ledger.count(number, Happened.READ)
        ledger.count_source(number, source)
        if row is None:
            ledger.count(number, Happened.READ_ALL)
        if in_window:
            ledger.count(number, Happened.READ_IN_WINDOW)
            if not went_back and _older(values, seen.drained):
                ledger.count(number, Happened.CAME_BACK)
        if went_back:
            ledger.count(number, Happened.VIOLATION)
            with servers.violations.open("a", encoding="utf-8") as file:
                file.write(f"{source.name}: row {row} read as {values}, {in_window=}, {seen}\n")


def run_writer(number: int, worker: int, servers: Servers, ledger: Ledger, broken: Broken | None) -> None:
    """Write until killed. What is "done" is acknowledged at once; what is pending, by the auditor."""
    random.seed()
    command = servers.catalogue.command("increment")
    writer = _writer(worker, servers, ledger, broken)
    while True:
        row = random_row()
        try:
            written = writer.write(command, {"id": row})
        except CacheasideError:
            ledger.count(worker, Happened.WRITE_FAILED)
            time.sleep(0.01)
            continue
        if written.body is None:  # it waited for a job that replaced the row: the old one is gone, the new one unseen
            ledger.count(worker, Happened.WROTE_NOTHING)
        elif written.invalidation is Invalidation.DONE:
            ledger.acknowledge_done(number, row, json.loads(written.body)["data"]["value"])
            ledger.count(worker, Happened.DONE)
        else:
            ledger.count(worker, Happened.PENDING)
        time.sleep(random.random() * 0.05)


def _writer(worker: int, servers: Servers, ledger: Ledger, broken: Broken | None) -> Writer:
    cache = LethalCache(servers.confirmed, _DIES_UNDRAINED, ledger, worker)
    if broken is Broken.TAGS_BEFORE_COMMIT:
        return Writer(Untold(), EagerCommands(servers.command, Cache(servers.cache)))
    if broken is Broken.DONE_UNCONFIRMED:
        return Writer(Cache(servers.cache), Commands(servers.command))
    return Writer(cache, Commands(servers.command))


def read_values(reader: Reader, bound: BoundQuery) -> tuple[list[int], Source]:
    """Return what the API says about one row or all of them, and where that came from. Raises CacheasideError."""
    outcome = reader.read(bound, lambda: 29_000).outcome
    if outcome.refresh is not None:
        with suppress(CacheasideError):
            reader.refresh(outcome.refresh)
    if outcome.entry.body is None:
        return [], outcome.source
    data: dict[str, Any] = json.loads(unpack(outcome.entry.encoding, outcome.entry.body))["data"]
    return (data["values"] or []) if "values" in data else [data["value"]], outcome.source


def random_row() -> int:
    """Most choose among a few, so that they meet."""
    return random.randrange(_HOT_ROWS if random.random() < 0.6 else ROWS)


def _older(values: Sequence[int], floors: Sequence[int]) -> bool:
    """No row is ever gone for longer than a transaction, so one that is missing is older than all."""
    return len(values) < len(floors) or any(map(lt, values, floors))

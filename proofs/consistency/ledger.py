"""What the processes of a run know of each other: numbers in shared memory, each written by one process only.

Counters outlive the processes that are killed, and cost those who read them nothing. For every row there is a *floor*:
the newest value whose write has been acknowledged. Whoever begins to read later must not be shown an older one.

    strict   the API said "done". Nothing that fails afterwards may bring the old answer back
    drained  somebody's change was taken out later. The same, except that an asynchronous failover may lose it: from
             the failover until its replay has been drained (a *window*) an old answer is foreseen, and only counted
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple

from cacheaside.reading.outcome import Source

__all__ = ["API_WRITERS", "INVALIDATORS", "JOBS", "READERS", "ROWS", "Happened", "Ledger", "Seen", "fork"]

ROWS: Final = 120  # more than a trigger lists one by one
READERS: Final = 5
API_WRITERS: Final = 3
JOBS: Final = 2
INVALIDATORS: Final = 2

_SOURCES: Final = list(Source)
_WORKERS: Final = READERS + API_WRITERS + JOBS + INVALIDATORS

fork: Final = multiprocessing.get_context("fork")


class Happened(Enum):
    """What is counted, besides where answers came from."""

    READ = "reads"
    READ_ALL = "of them of the whole table"
    READ_FAILED = "reads without an answer"
    READ_IN_WINDOW = "reads while a failover had not been replayed"
    CAME_BACK = "of them answered with what the failover had lost"
    VIOLATION = "violations"
    DONE = 'API writes, "done"'
    PENDING = 'API writes, "pending"'
    WROTE_NOTHING = "API writes that found no row"
    WRITE_FAILED = "API writes that failed"
    DIED_UNDRAINED = "API processes killed between COMMIT and drain"
    COMMITTED = "transactions of jobs, committed"
    ROLLED_BACK = "transactions of jobs, rolled back"
    JOB_FAILED = "transactions of jobs that failed"
    VERIFIED = "answers compared by the verifier"
    FOUND_STALE = "of them stale"


_HAPPENED: Final = list(Happened)


class Seen(NamedTuple):
    """What was acknowledged, and which failovers were over, before a read began."""

    strict: Sequence[int]
    drained: Sequence[int]
    replayed: int


class Ledger:
    """A worker is a number: readers first, then the writers of the API, the jobs, the invalidate processes."""

    def __init__(self) -> None:
        self._done = [fork.RawArray("q", ROWS) for _ in range(API_WRITERS)]
        self._drained = fork.RawArray("q", ROWS)
        self._counts = fork.RawArray("q", _WORKERS * len(_HAPPENED))
        self._sources = fork.RawArray("q", READERS * len(_SOURCES))
        self._failovers = fork.RawArray("q", 3)  # begun, over with the new primary in its place, replayed

    def count(self, worker: int, what: Happened, times: int = 1) -> None:
        self._counts[worker * len(_HAPPENED) + _HAPPENED.index(what)] += times

    def count_source(self, reader: int, source: Source) -> None:
        self._sources[reader * len(_SOURCES) + _SOURCES.index(source)] += 1

    def total(self, what: Happened) -> int:
        return sum(self._counts[_HAPPENED.index(what) :: len(_HAPPENED)])

    def sources(self) -> dict[str, int]:
        return {source.name: sum(self._sources[at :: len(_SOURCES)]) for at, source in enumerate(_SOURCES)}

    def acknowledge_done(self, writer: int, row: int, value: int) -> None:
        """The API said "done". `writer` counts from 0; each has floors of its own, which only rise."""
        self._done[writer][row] = max(self._done[writer][row], value)

    def acknowledge_drained(self, row: int, value: int) -> None:
        """The outbox says that this change was taken out. Only the auditor knows."""
        self._drained[row] = max(self._drained[row], value)

    def seen(self, row: int | None) -> Seen:
        """Note what the next read must not fall below: of one row, or of all."""
        rows = slice(None) if row is None else slice(row, row + 1)
        replayed = self._failovers[2]  # first: a failover that is replayed while the floors are read is still one
        strict = [max(values) for values in zip(*(done[rows] for done in self._done), strict=True)]
        return Seen(strict, self._drained[rows], replayed)

    def in_window(self, seen: Seen) -> bool:
        """Whether a failover had begun by now that had not been replayed when `seen` was noted."""
        return bool(self._failovers[0] > seen.replayed)

    def failover_begins(self) -> None:
        self._failovers[0] += 1

    def failover_is_over(self) -> None:
        self._failovers[1] = self._failovers[0]

    @property
    def awaits_replay(self) -> int | None:
        """The newest failover, if a new primary is in place and its replay has not been seen; else None."""
        begun, over, replayed = self._failovers
        return begun if begun == over > replayed else None

    def failover_is_replayed(self, number: int) -> None:
        self._failovers[2] = number

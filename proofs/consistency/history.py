"""The history that the processes of a run share: acknowledged writes and counters, in shared memory.

Each number is written by one process only, outlives processes that are killed, and is cheap to read. For every row the
history has two bounds: the newest acknowledged values. A read that begins later must not return an older one.

    done     acknowledged by the API with "done". No later fault may bring an older answer back
    drained  acknowledged when a drain invalidated the change. The same, but an asynchronous failover may lose the
             invalidation: from the failover until its replay is drained (a *window*), stale answers are only counted
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Final, NamedTuple

from cacheaside.reading.outcome import Source

__all__ = [
    "API_WRITERS",
    "INVALIDATORS",
    "READERS",
    "ROWS",
    "SCHEMA_CHANGERS",
    "SQL_WRITERS",
    "Count",
    "History",
    "ReadBounds",
    "fork",
]

ROWS: Final = 120  # more than a trigger lists one by one
READERS: Final = 5
API_WRITERS: Final = 3
SQL_WRITERS: Final = 2
SCHEMA_CHANGERS: Final = 1
INVALIDATORS: Final = 2

_SOURCES: Final = list(Source)
_WORKERS: Final = READERS + API_WRITERS + SQL_WRITERS + INVALIDATORS + SCHEMA_CHANGERS
_VALUES: Final = ROWS + 1  # those of the table, and the generation of the view

fork: Final = multiprocessing.get_context("fork")


class Count(Enum):
    """What is counted, besides the sources of answers; the value is the line of the report."""

    READ = "reads"
    READ_ALL = "of them of the whole table"
    READ_FAILED = "reads that failed"
    WAITED_TOO_LONG = "of them because another process's load took too long"
    READ_IN_WINDOW = "reads in a window between a failover and its replay"
    STALE_IN_WINDOW = "of them stale, as a failover may cause"
    VIOLATION = "violations"
    DONE = 'API writes, "done"'
    PENDING = 'API writes, "pending"'
    WROTE_NOTHING = "API writes that found no row"
    WRITE_FAILED = "API writes that failed"
    KILLED_UNDRAINED = "API processes killed between COMMIT and drain"
    KILLED_LOADING = "API processes killed during a load, with its lease"
    COMMITTED = "transactions of SQL writers, committed"
    ROLLED_BACK = "transactions of SQL writers, rolled back"
    TRANSACTION_FAILED = "transactions of SQL writers that failed"
    SCHEMA_CHANGED = "changes of the schema, committed"
    SCHEMA_CHANGE_FAILED = "changes of the schema that failed"
    VERIFIED = "answers compared by the verifier"
    FOUND_STALE = "of them stale"


_COUNTS: Final = list(Count)


class ReadBounds(NamedTuple):
    """The oldest values that a read may return, and the newest failover that was replayed before it began."""

    done: Sequence[int]
    drained: Sequence[int]
    replayed: int


class History:
    """Workers are numbered: readers first, then API writers, SQL writers, invalidate processes, schema changer."""

    def __init__(self) -> None:
        self._done = [fork.RawArray("q", _VALUES) for _ in range(API_WRITERS)]
        self._drained = fork.RawArray("q", _VALUES)
        self._counts = fork.RawArray("q", _WORKERS * len(_COUNTS))
        self._sources = fork.RawArray("q", READERS * len(_SOURCES))
        self._failovers = fork.RawArray("q", 3)  # begun, completed with a new primary, replayed
        self._loading = fork.RawArray("b", READERS)
        self._longest_ms = fork.RawArray("d", READERS)

    def count(self, worker: int, what: Count, times: int = 1) -> None:
        self._counts[worker * len(_COUNTS) + _COUNTS.index(what)] += times

    def count_source(self, reader: int, source: Source) -> None:
        self._sources[reader * len(_SOURCES) + _SOURCES.index(source)] += 1

    def total(self, *counts: Count) -> int:
        return sum(sum(self._counts[_COUNTS.index(what) :: len(_COUNTS)]) for what in counts)

    def sources(self) -> dict[str, int]:
        return {source.name: sum(self._sources[at :: len(_SOURCES)]) for at, source in enumerate(_SOURCES)}

    @contextmanager
    def loading(self, reader: int) -> Iterator[None]:
        """Record that the process loads, with the lease. A process that is killed within the block stays recorded."""
        self._loading[reader] = True
        try:
            yield
        finally:
            self._loading[reader] = False

    def count_killed_loading(self, reader: int) -> None:
        """Count the former process of this reader, if it was killed during such a load."""
        self.count(reader, Count.KILLED_LOADING, self._loading[reader])
        self._loading[reader] = False

    def record_answered(self, reader: int, ms: float) -> None:
        """Record how long a caller waited for an answer."""
        self._longest_ms[reader] = max(self._longest_ms[reader], ms)

    @property
    def longest_ms(self) -> float:
        return float(max(self._longest_ms))

    def acknowledge_done(self, writer: int, row: int, value: int) -> None:
        """Record that the API said "done". `writer` counts from 0; each has its own values, which only rise."""
        self._done[writer][row] = max(self._done[writer][row], value)

    def acknowledge_drained(self, row: int, value: int) -> None:
        """Record that the outbox marks this change as drained. Only the outbox checker calls this."""
        self._drained[row] = max(self._drained[row], value)

    def read_bounds(self, row: int | None) -> ReadBounds:
        """Return the bounds for a read of one row, or of all, that begins now."""
        rows = slice(None) if row is None else slice(row, row + 1)
        replayed = self._failovers[2]  # first: a failover replayed while the bounds are read still opens a window
        done = [max(values) for values in zip(*(values[rows] for values in self._done), strict=True)]
        return ReadBounds(done, self._drained[rows], replayed)

    def in_window(self, bounds: ReadBounds) -> bool:
        """Return whether a failover has begun by now that was not replayed when `bounds` were read."""
        return bool(self._failovers[0] > bounds.replayed)

    def begin_failover(self) -> None:
        self._failovers[0] += 1

    def complete_failover(self) -> None:
        self._failovers[1] = self._failovers[0]

    @property
    def failover_to_replay(self) -> int | None:
        """The newest failover, if it is completed and its replay has not been seen; else None."""
        begun, completed, replayed = self._failovers
        return begun if begun == completed > replayed else None

    def record_replay(self, failover: int) -> None:
        self._failovers[2] = failover

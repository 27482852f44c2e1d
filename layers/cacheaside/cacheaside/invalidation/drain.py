"""Draining the outbox: what writers left word of goes out of the cache, and is noted as done only after that.

    lock a batch ──► take its tags out of the cache ──► mark it drained, commit

A crash anywhere on the way repeats work and loses none. Before each batch the cache is asked who its primary is: a
replica that has taken over since may not have got the last of what was taken out, so what was drained lately is drained
again (replay).

One server of a cluster that is away keeps a batch pending, and with it the batches behind. They are taken out of the
servers that answer all the same: these go on giving answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from cacheaside.catalogue.tags import changed_tags
from cacheaside.errors import CacheUnavailable

__all__ = ["EVER", "Backlog", "Batch", "Drained", "Drainer"]

# That are locked at once.
_ROWS: Final = 1_000


EVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Batch:
    """What the oldest pending rows say has changed, and when the last of them was written."""

    changes: Sequence[str]
    until: datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is still to be drained: so many rows, the oldest written so many seconds ago (0.0 if there are none)."""

    rows: int
    age_s: float


@dataclass(frozen=True, slots=True)
class Drained:
    """How far it came: rows taken out, replays on the way, and False if some had to be left for want of a cache."""

    rows: int
    replayed: int
    reachable: bool


class DrainedOutbox(Protocol):
    """The outbox. See `cacheaside.drivers.postgres.outbox.Outbox`."""

    def batch(self, at_most: int, replication_ids: str, since: datetime) -> AbstractContextManager[Batch]: ...
    def replay(self, replication_ids: str) -> bool: ...
    def backlog(self) -> Backlog: ...


class DrainedCache(Protocol):
    """The cache. See `cacheaside.drivers.cache.tags.TagCache`."""

    def invalidate_tags(self, tags: Sequence[str]) -> int: ...
    def replication_ids(self) -> str: ...


class Drainer:
    """Drains. Any number of them may do so at once."""

    def __init__(self, outbox: DrainedOutbox, cache: DrainedCache, now: Callable[[], float] = time.monotonic) -> None:
        self._outbox = outbox
        self._cache = cache
        self._now = now

    def drain(self, seconds: float = 5.0) -> Drained:
        """Drain until nothing is pending that can be, or `seconds` are over: writers may be faster than we are.

        Raises DatabaseError.
        """
        rows = replayed = 0
        since, reachable = EVER, True
        ends = self._now() + seconds
        try:
            while True:
                replication_ids = self._cache.replication_ids()
                replayed += self._outbox.replay(replication_ids)
                batch, taken_out = self._drain_batch(replication_ids, since)
                if taken_out:
                    rows += len(batch.changes)
                else:
                    since, reachable = max(since, batch.until), False
                if len(batch.changes) < _ROWS or self._now() > ends:
                    return Drained(rows, replayed, reachable)
        except CacheUnavailable:  # none of its servers answers
            return Drained(rows, replayed, reachable=False)

    def _drain_batch(self, replication_ids: str, since: datetime) -> tuple[Batch, bool]:
        """Return a batch, and whether it is drained now. If not, more than before it may be out of the cache."""
        try:
            with self._outbox.batch(_ROWS, replication_ids, since) as batch:
                self._cache.invalidate_tags(changed_tags(batch.changes))
        except CacheUnavailable:
            return batch, False
        return batch, True

    def settle(self) -> float:
        """Drain, and return for how many seconds the oldest row that is left has been pending, 0.0 if none is.

        What another drainer has in hand is left to it, and still pending. Raises DatabaseError.
        """
        self.drain()
        return self._outbox.backlog().age_s

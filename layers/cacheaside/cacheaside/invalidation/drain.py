"""Draining the outbox: invalidate the changes that triggers recorded, and mark them as drained after that.

    lock a batch ──► invalidate its tags ──► mark it drained, commit

After a crash at any point, work is repeated and none is lost. Before each batch the drainer asks the cache for its
replication ids. They change with a failover. The new primary may have missed the last invalidations, so rows that were
drained recently become pending again (replay).

If one server of a cluster is unavailable, its batch stays pending. The batches after it are drained all the same,
because the other servers still answer readers.
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

# Rows of a batch, all locked at once.
_ROWS: Final = 1_000

# Before every row of the outbox.
EVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Batch:
    """The changes in the oldest pending rows, and the time at which the last of these rows was written."""

    changes: Sequence[str]
    until: datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """The number of pending rows, and the age of the oldest one in seconds (0.0 if there are none)."""

    rows: int
    age_s: float


@dataclass(frozen=True, slots=True)
class Drained:
    """The rows that were drained, the replays, and whether every server was `reachable`. If not, rows stay pending."""

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
    """Drains the outbox. Several drainers may run at once."""

    def __init__(self, outbox: DrainedOutbox, cache: DrainedCache, now: Callable[[], float] = time.monotonic) -> None:
        self._outbox = outbox
        self._cache = cache
        self._now = now

    def drain(self, seconds: float = 5.0, since: datetime = EVER) -> Drained:
        """Drain until no row is left that can be drained, or `seconds` are over: writers may be faster than this.

        Rows that were written before `since` are omitted. Raises DatabaseError.
        """
        rows = replayed = 0
        reachable = True
        deadline = self._now() + seconds
        try:
            while True:
                replication_ids = self._cache.replication_ids()
                replayed += self._outbox.replay(replication_ids)
                batch, drained = self._drain_batch(replication_ids, since)
                if drained:
                    rows += len(batch.changes)
                else:
                    since, reachable = max(since, batch.until), False
                if len(batch.changes) < _ROWS or self._now() > deadline:
                    return Drained(rows, replayed, reachable)
        except CacheUnavailable:  # no server answers
            return Drained(rows, replayed, reachable=False)

    def _drain_batch(self, replication_ids: str, since: datetime) -> tuple[Batch, bool]:
        """Return a batch, and whether it is drained now. If not, some of its tags may be invalidated all the same."""
        try:
            with self._outbox.batch(_ROWS, replication_ids, since) as batch:
                self._cache.invalidate_tags(changed_tags(batch.changes))
        except CacheUnavailable:
            return batch, False
        return batch, True

    def drain_and_report_age(self) -> float:
        """Drain, and return the age of the oldest row that is still pending, in seconds (0.0 if there is none).

        Rows that another drainer has locked are pending until it has marked them. Raises DatabaseError.
        """
        self.drain()
        return self._outbox.backlog().age_s

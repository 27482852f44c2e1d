"""Draining the outbox: what writers left word of goes out of the cache, and is noted as done only after that.

    lock a batch ──► take its tags out of the cache ──► mark it drained, commit

A crash anywhere on the way repeats work and loses none. Before each batch the cache is asked who its primary is: a
replica that has taken over since may not have got the last of what was taken out, so what was drained lately is drained
again (replay).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from cacheaside.errors import CacheUnavailable
from cacheaside.tags import changed_tags, in_calls

__all__ = ["Backlog", "Drained", "Drainer"]

# That are locked at once.
_ROWS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is still to be drained: so many rows, the oldest written so many seconds ago (0.0 if there are none)."""

    rows: int
    age_s: float


@dataclass(frozen=True, slots=True)
class Drained:
    """How far it came: rows taken out, replays on the way, and False if the cache could not be reached for the rest."""

    rows: int
    replayed: int
    reachable: bool


class Changes(Protocol):
    """The outbox. See `cacheaside.drivers.outbox.Outbox`."""

    def drain(self, take_out: Callable[[Sequence[str]], object], at_most: int, replication_ids: str) -> int: ...
    def replay(self, replication_ids: str) -> bool: ...
    def backlog(self) -> Backlog: ...


class TagStore(Protocol):
    """The cache. See `cacheaside.drivers.cache.Cache`."""

    def invalidate_tags(self, tags: Sequence[str]) -> int: ...
    def replication_ids(self) -> str: ...


class Drainer:
    """Drains. Any number of them may do so at once."""

    def __init__(self, outbox: Changes, cache: TagStore, now: Callable[[], float] = time.monotonic) -> None:
        self._outbox = outbox
        self._cache = cache
        self._now = now

    def drain(self, seconds: float = 5.0) -> Drained:
        """Drain until nothing is pending, the cache is away, or `seconds` are over: writers may be faster than we are.

        Raises DatabaseError.
        """
        rows = replayed = 0
        ends = self._now() + seconds
        try:
            while True:
                replication_ids = self._cache.replication_ids()
                replayed += self._outbox.replay(replication_ids)
                batch = self._outbox.drain(self._take_out, _ROWS, replication_ids)
                rows += batch
                if batch < _ROWS or self._now() > ends:
                    return Drained(rows, replayed, reachable=True)
        except CacheUnavailable:
            return Drained(rows, replayed, reachable=False)

    def settle(self) -> float:
        """Drain, and return for how many seconds the oldest row that is left has been pending, 0.0 if none is.

        What another drainer has in hand is left to it, and still pending. Raises DatabaseError.
        """
        self.drain()
        return self._outbox.backlog().age_s

    def _take_out(self, changes: Sequence[str]) -> None:
        for tags in in_calls(changed_tags(changes)):
            self._cache.invalidate_tags(tags)

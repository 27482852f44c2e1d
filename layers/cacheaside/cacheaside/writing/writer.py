"""The write path: run a command, commit, and take out of the cache what it changed.

The tags go after COMMIT, never before: a reader between the two would load the old row and store it under a tag that
nobody takes out again. What is to be taken out was committed with the write, so it is not lost with this process.

    run, commit ──► what has the transaction changed? ──► take it out ──► mark it as drained ──► DONE
                                     └─────────── fails ──────┴───────────────────┴────────────► PENDING
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from cacheaside.catalogue.parameters import Value
from cacheaside.catalogue.statements import Command
from cacheaside.catalogue.tags import changed_tags
from cacheaside.errors import CacheUnavailable, DatabaseError
from cacheaside.writing.idempotency import Idempotency

__all__ = ["Committed", "Invalidation", "Writer", "Written"]


class Invalidation(Enum):
    """Whether the answers that a write made old are out of the cache. The value is what the caller is told."""

    DONE = "done"
    PENDING = "pending"  # the cache or a replica of it did not confirm; the invalidate function delivers


@dataclass(frozen=True, slots=True)
class Committed:
    """The answer of a command, None if it is about one row and there was none, and the transaction that wrote.

    `replayed`: it was carried out for an earlier request with the same idempotency key.
    """

    body: bytes | None
    transaction_id: str
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """A committed write: its answer as in `Committed`, and how far its invalidation came."""

    body: bytes | None
    invalidation: Invalidation
    replayed: bool = False


class TagStore(Protocol):
    """The cache side of the write path: returns once it is confirmed, or raises CacheUnavailable."""

    def invalidate_tags(self, tags: Sequence[str]) -> int: ...


class Executor(Protocol):
    """The database side of the write path. Each raises DatabaseError; see `cacheaside.drivers.postgres.commands`."""

    def execute(
        self, command: Command, values: Mapping[str, Value], idempotency: Idempotency | None = None
    ) -> Committed: ...
    def changes(self, transaction_id: str) -> list[str]: ...
    def mark_drained(self, transaction_id: str) -> None: ...


class Writer:
    """Runs commands."""

    def __init__(self, cache: TagStore, database: Executor) -> None:
        self._cache = cache
        self._database = database

    def write(self, command: Command, values: Mapping[str, Value], idempotency: Idempotency | None = None) -> Written:
        """Return what was written, now or for an earlier request with this key. Raises as `Commands.execute`.

        Once it is committed nothing raises. What an earlier request left pending is taken out as well.
        """
        committed = self._database.execute(command, values, idempotency)
        return Written(committed.body, self._take_out(committed.transaction_id), committed.replayed)

    def _take_out(self, transaction_id: str) -> Invalidation:
        try:
            tags = changed_tags(self._database.changes(transaction_id))
            if tags:
                self._cache.invalidate_tags(tags)
                self._database.mark_drained(transaction_id)
        except (CacheUnavailable, DatabaseError):
            return Invalidation.PENDING
        return Invalidation.DONE

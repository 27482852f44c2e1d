"""The write path: run a command, commit, and invalidate the tags of its changes.

Tags are invalidated after COMMIT, never before. Between the two, a reader would load the old row and store it, and no
later invalidation would remove it. The outbox rows are committed with the write, so a crash here loses no change.

    run, commit ──► read its changes ──► invalidate their tags ──► mark them as drained ──► DONE
                           └──── fails ────────────┴──────────────────────────┴───────────► PENDING
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
    """Whether the answers that a write made old are invalidated. The value is part of the response."""

    DONE = "done"
    PENDING = "pending"  # the cache or a replica did not confirm; the invalidate function will drain the rows


@dataclass(frozen=True, slots=True)
class Committed:
    """The answer of a command, and the id of its transaction. `body` is None if the command found no row.

    `replayed`: an earlier request with the same idempotency key committed it.
    """

    body: bytes | None
    transaction_id: str
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """A committed write: its answer as in `Committed`, and whether its changes are invalidated."""

    body: bytes | None
    invalidation: Invalidation
    replayed: bool = False


class TagStore(Protocol):
    """The cache side of the write path. Returns when the invalidation is confirmed, else raises CacheUnavailable."""

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
        """Return the write, which this request or an earlier one with this key has committed.

        Raises as `Commands.execute`, nothing after COMMIT. Pending changes of an earlier request are invalidated too.
        """
        committed = self._database.execute(command, values, idempotency)
        return Written(committed.body, self._invalidate(committed.transaction_id), committed.replayed)

    def _invalidate(self, transaction_id: str) -> Invalidation:
        try:
            tags = changed_tags(self._database.changes(transaction_id))
            if tags:
                self._cache.invalidate_tags(tags)
                self._database.mark_drained(transaction_id)
        except (CacheUnavailable, DatabaseError):
            return Invalidation.PENDING
        return Invalidation.DONE

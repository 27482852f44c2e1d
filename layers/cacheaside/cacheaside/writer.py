"""The write path: run a command, commit, and take out of the cache what it changed.

The tags go after COMMIT, never before: a reader between the two would load the old row and store it under a tag that
nobody takes out again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from cacheaside.catalogue import Command
from cacheaside.errors import CacheUnavailable, NotFound
from cacheaside.parameters import Value
from cacheaside.tags import resolve_tags

__all__ = ["Invalidation", "Writer", "Written"]


class Invalidation(Enum):
    """Whether the answers that a write made old are out of the cache. The value is what the caller is told."""

    DONE = "done"
    PENDING = "pending"  # the cache could not be reached; old answers may be served until ttl and stale window end


class TagStore(Protocol):
    """The cache side of the write path."""

    def invalidate_tags(self, tags: Sequence[str]) -> int: ...


class Executor(Protocol):
    """The database side of the write path."""

    def execute(self, command: Command, values: Mapping[str, Value]) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class Written:
    """A committed write: its answer, as a JSON object, and how far its invalidation came."""

    body: bytes
    invalidation: Invalidation


class Writer:
    """Runs commands."""

    def __init__(self, cache: TagStore, database: Executor) -> None:
        self._cache = cache
        self._database = database

    def write(self, command: Command, values: Mapping[str, Value]) -> Written:
        """Return what was written. Raises DatabaseError, or NotFound if it is about one row and there is none."""
        body = self._database.execute(command, values)
        if body is None:
            raise NotFound(f"{command.name} found no row for these parameters")
        return Written(body, self._invalidate(resolve_tags(command.tags, values)))

    def _invalidate(self, tags: Sequence[str]) -> Invalidation:
        try:
            self._cache.invalidate_tags(tags)
        except CacheUnavailable:
            return Invalidation.PENDING
        return Invalidation.DONE

"""Deliberate defects, for tests that the checks of this package find them. `api_processes` and `invalidate_processes`
use these classes in place of the real ones when `run` is given a `Defect`; `register` drops the trigger.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from typing import Any, Final

from cacheaside.catalogue.parameters import Value
from cacheaside.catalogue.statements import Command
from cacheaside.catalogue.tags import changed_tags
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.commands import Commands
from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.invalidation.drain import Batch
from cacheaside.settings import DatabaseSettings

__all__ = ["Defect", "InvalidateFirstCommands", "LossyOutbox", "MarkFirstOutbox", "NoOpCache"]

# Keeps the race open for this long, so that other processes run into it. The outbox checker looks each 20 ms.
_RACE_S: Final = 0.05


class Defect(Enum):
    INVALIDATED_BEFORE_COMMIT = "commands invalidate their change before COMMIT instead of after it"
    DONE_UNCONFIRMED = 'commands answer "done" without waiting for the replica'
    MARKED_FIRST = "the invalidate function marks changes as drained before it invalidates them"
    CHANGES_SKIPPED = "the invalidate function invalidates every other change, and marks all as drained"
    TRIGGER_MISSING = "one of the triggers is missing"


class NoOpCache:
    """Reports that tags are invalidated, and does nothing."""

    def invalidate_tags(self, tags: Sequence[str]) -> int:
        return len(tags)


class InvalidateFirstCommands(Commands):
    """Invalidates the row before it is written."""

    def __init__(self, settings: DatabaseSettings, cache: Cache) -> None:
        super().__init__(settings)
        self._cache = cache

    def execute(self, command: Command, values: Mapping[str, Value], *others: Any) -> Any:
        self._cache.invalidate_tags(changed_tags([f"register:{values['id']}"]))
        time.sleep(_RACE_S)
        return super().execute(command, values, *others)


class MarkFirstOutbox(Outbox):
    """Commits a batch as drained, and only then hands it to the drainer."""

    @contextmanager
    def batch(self, *arguments: Any) -> Iterator[Batch]:
        with super().batch(*arguments) as batch:
            pass
        time.sleep(_RACE_S)
        yield batch


class LossyOutbox(Outbox):
    """Hands every other change to the drainer, and marks all as drained."""

    @contextmanager
    def batch(self, *arguments: Any) -> Iterator[Batch]:
        with super().batch(*arguments) as batch:
            yield replace(batch, changes=batch.changes[::2])

"""Ways to do it wrong, to see that the checks of this package notice. Nothing else uses them."""

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

__all__ = ["Broken", "EagerCommands", "HastyOutbox", "SkippingOutbox", "Untold"]

# Others need a moment to run into what is open for so long.
_GAP_S: Final = 0.01


class Broken(Enum):
    """What is done wrong."""

    TAGS_BEFORE_COMMIT = "commands take out what they are about to write, and nothing after COMMIT"
    DONE_UNCONFIRMED = "commands do not wait for the replica before they say that it is done"
    DRAINED_FIRST = "the invalidate function marks rows as drained, and then takes them out"
    ROWS_SKIPPED = "the invalidate function takes out every other change, and marks all"
    UNRECORDED = "one of the triggers is missing"


class Untold:
    """A cache that says it was done."""

    def invalidate_tags(self, tags: Sequence[str]) -> int:
        return len(tags)


class EagerCommands(Commands):
    """Takes out what it is going to write."""

    def __init__(self, settings: DatabaseSettings, cache: Cache) -> None:
        super().__init__(settings)
        self._cache = cache

    def execute(self, command: Command, values: Mapping[str, Value], *others: Any) -> Any:
        self._cache.invalidate_tags(changed_tags([f"register:{values['id']}"]))
        time.sleep(_GAP_S)
        return super().execute(command, values, *others)


class HastyOutbox(Outbox):
    """Commits, and then takes out what it has committed as taken out."""

    @contextmanager
    def batch(self, *arguments: Any) -> Iterator[Batch]:
        with super().batch(*arguments) as batch:
            pass
        time.sleep(_GAP_S)
        yield batch


class SkippingOutbox(Outbox):
    """Is told of more than it passes on."""

    @contextmanager
    def batch(self, *arguments: Any) -> Iterator[Batch]:
        with super().batch(*arguments) as batch:
            yield replace(batch, changes=batch.changes[::2])

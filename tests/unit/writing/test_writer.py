"""The order of things in a write: nothing is taken out before COMMIT, nothing is marked before it was taken out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from cacheaside.catalogue.statements import Command
from cacheaside.errors import CacheUnavailable, DatabaseUnavailable, StatementFailed
from cacheaside.writing.writer import Committed, Invalidation, Writer

COMMAND = Command(name="c", summary="", sql="", returns="one", timeout_ms=1_000, parameters={})


class World:
    """Cache and database in one: remembers what it was asked, and fails where it is told to."""

    def __init__(self, changes: Sequence[str] = ("products:42",), fails: dict[str, Exception] | None = None) -> None:
        self.asked: list[tuple[str, Any]] = []
        self._changes, self._fails = list(changes), fails or {}

    def _ask(self, name: str, argument: Any) -> None:
        self.asked.append((name, argument))
        if name in self._fails:
            raise self._fails[name]

    def execute(self, _command: Any, _values: Any, idempotency: Any = None) -> Committed:
        self._ask("execute", idempotency)
        return Committed(b'{"data":{}}', "777", replayed=idempotency is not None)

    def changes(self, transaction_id: str) -> list[str]:
        self._ask("changes", transaction_id)
        return self._changes

    def invalidate_tags(self, tags: Sequence[str]) -> int:
        self._ask("invalidate", list(tags))
        return len(tags)

    def mark_drained(self, transaction_id: str) -> None:
        self._ask("mark", transaction_id)

    def write(self) -> Any:
        return Writer(self, self).write(COMMAND, {})


def test_order_of_a_write() -> None:
    world = World(["products:42", "orders"])
    assert world.write().invalidation is Invalidation.DONE
    assert world.asked == [
        ("execute", None),
        ("changes", "777"),
        ("invalidate", ["products", "products:42", "orders", "orders:*"]),
        ("mark", "777"),
    ]


def test_command_that_changed_nothing_that_is_watched_is_done_without_the_cache() -> None:
    world = World([], {"invalidate": CacheUnavailable("gone")})
    assert world.write().invalidation is Invalidation.DONE


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("changes", DatabaseUnavailable("gone")),
        ("invalidate", CacheUnavailable("gone")),
        ("mark", DatabaseUnavailable("gone")),
        ("mark", StatementFailed("no")),
    ],
)
def test_what_fails_after_commit_is_pending_and_nothing_later_is_tried(name: str, error: Exception) -> None:
    world = World(fails={name: error})
    written = world.write()
    assert (written.body, written.invalidation) == (b'{"data":{}}', Invalidation.PENDING)
    assert world.asked[-1][0] == name


def test_what_fails_before_commit_is_raised_and_takes_nothing_out() -> None:
    world = World(fails={"execute": StatementFailed("no")})
    with pytest.raises(StatementFailed):
        world.write()
    assert world.asked == [("execute", None)]

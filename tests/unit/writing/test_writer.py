"""The order of a write: nothing is invalidated before COMMIT, and nothing is marked before it was invalidated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from cacheaside.catalogue.statements import Command
from cacheaside.errors import CacheUnavailable, DatabaseUnavailable, StatementFailed
from cacheaside.writing.idempotency import Idempotency
from cacheaside.writing.writer import Committed, Invalidation, Writer

COMMAND = Command(name="c", summary="", sql="", returns="one", timeout_ms=1_000, parameters={})
VALUES = {"id": 42}


class FakeServers:
    """Cache and database in one object. `calls` lists the calls to it, and `fails` names those that raise."""

    def __init__(self, changes: Sequence[str] = ("products:42",), fails: dict[str, Exception] | None = None) -> None:
        self.calls: list[tuple[str, Any]] = []
        self._changes, self._fails = list(changes), fails or {}

    def _call(self, name: str, argument: Any) -> None:
        self.calls.append((name, argument))
        if name in self._fails:
            raise self._fails[name]

    def execute(self, command: Any, values: Any, idempotency: Any = None) -> Committed:
        assert (command, values) == (COMMAND, VALUES)
        self._call("execute", idempotency)
        return Committed(b'{"data":{}}', "777", replayed=idempotency is not None)

    def changes(self, transaction_id: str) -> list[str]:
        self._call("changes", transaction_id)
        return self._changes

    def invalidate_tags(self, tags: Sequence[str]) -> int:
        self._call("invalidate", list(tags))
        return len(tags)

    def mark_drained(self, transaction_id: str) -> None:
        self._call("mark", transaction_id)

    def write(self, idempotency: Idempotency | None = None) -> Any:
        return Writer(self, self).write(COMMAND, VALUES, idempotency)


def test_write_commits_then_invalidates_then_marks() -> None:
    servers = FakeServers(["products:42", "orders"])
    assert servers.write().invalidation is Invalidation.DONE
    assert servers.calls == [
        ("execute", None),
        ("changes", "777"),
        ("invalidate", ["products", "products:42", "orders", "orders:*"]),
        ("mark", "777"),
    ]


def test_repeated_request_is_known_by_its_key_and_the_caller_is_told() -> None:
    servers, key = FakeServers(), Idempotency("k", "f")
    assert servers.write(key).replayed
    assert servers.calls[0] == ("execute", key)
    assert not servers.write().replayed


def test_command_without_recorded_changes_does_not_call_the_cache() -> None:
    servers = FakeServers([], {"invalidate": CacheUnavailable("gone")})
    assert servers.write().invalidation is Invalidation.DONE


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("changes", DatabaseUnavailable("gone")),
        ("invalidate", CacheUnavailable("gone")),
        ("mark", DatabaseUnavailable("gone")),
        ("mark", StatementFailed("no")),
    ],
)
def test_failure_after_commit_leaves_the_invalidation_pending_and_ends_the_write(name: str, error: Exception) -> None:
    servers = FakeServers(fails={name: error})
    written = servers.write()
    assert (written.body, written.invalidation) == (b'{"data":{}}', Invalidation.PENDING)
    assert servers.calls[-1][0] == name


def test_failure_before_commit_is_raised_and_invalidates_nothing() -> None:
    servers = FakeServers(fails={"execute": StatementFailed("no")})
    with pytest.raises(StatementFailed):
        servers.write()
    assert servers.calls == [("execute", None)]

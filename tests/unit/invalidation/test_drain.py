"""Draining, with an outbox and a cache in memory: which steps it takes, and when it stops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NoReturn

import pytest

from cacheaside.errors import CacheUnavailable, StatementTimeout
from cacheaside.invalidation.drain import EVER, Backlog, Batch, Drained, Drainer


class Memory:
    """An outbox and a cache in one object. `done` lists the calls that changed them."""

    def __init__(self, *batches: Sequence[str], cache_calls: int = 1_000) -> None:
        self.batches = list(batches)
        self.until: dict[datetime, Sequence[str]] = {}  # batches by the time of their last row
        self.unreachable_tags: set[str] = set()
        self.cache_calls_left = cache_calls  # after these, the cache is unavailable
        self.done: list[str] = []
        self.seen_ids = "first"
        self.current_ids = "first"

    @contextmanager
    def batch(self, at_most: int, replication_ids: str, since: datetime) -> Iterator[Batch]:
        assert (at_most, replication_ids) == (1_000, self.current_ids)
        number = 0 if since is EVER else 1 + self.batches.index(self.until[since])
        changes = self.batches[number] if number < len(self.batches) else []
        until = EVER + timedelta(seconds=len(self.until) + 1)
        self.until[until] = changes
        yield Batch(changes, until)
        if changes:
            self.batches.remove(changes)
            self.done.append("mark")

    def replay(self, replication_ids: str) -> bool:
        changed, self.seen_ids = replication_ids != self.seen_ids, replication_ids
        return changed

    def backlog(self) -> Backlog:
        return Backlog(len(self.batches), age_s=7.0 if self.batches else 0.0)

    def invalidate_tags(self, tags: Sequence[str]) -> int:
        self._call()
        self.done.append(f"{len(tags)} tags")
        if self.unreachable_tags & set(tags):
            raise CacheUnavailable("one of several servers")
        return 0

    def replication_ids(self) -> str:
        self._call()
        return self.current_ids

    def _call(self) -> None:
        self.cache_calls_left -= 1
        if self.cache_calls_left < 0:
            raise CacheUnavailable("the cache cannot be reached")


def rows(count: int, table: str = "products") -> list[str]:
    return [f"{table}:{number}" for number in range(count)]


def test_full_batch_is_followed_by_another() -> None:
    memory = Memory(rows(1_000), rows(1_000), rows(3))
    assert Drainer(memory, memory).drain() == Drained(2_003, replayed=0, reachable=True)
    assert memory.done[-2:] == ["4 tags", "mark"]


def test_failed_invalidation_leaves_the_rows_pending() -> None:
    memory = Memory(rows(1_000), cache_calls=1)  # the call of replication_ids
    assert Drainer(memory, memory).drain() == Drained(0, replayed=0, reachable=False)
    assert memory.done == []


def test_unavailable_cache_causes_no_query_in_postgresql() -> None:
    memory = Memory(rows(1), cache_calls=0)
    memory.replay = memory.batch = pytest.fail  # type: ignore[method-assign,assignment]
    assert not Drainer(memory, memory).drain().reachable


def test_batch_of_an_unavailable_server_does_not_block_later_batches() -> None:
    memory = Memory(rows(1_000, "orders"), rows(1_000, "products"), rows(3, "customers"))
    memory.unreachable_tags = {"products"}
    assert Drainer(memory, memory).drain() == Drained(1_003, replayed=0, reachable=False)
    assert memory.batches == [rows(1_000, "products")]


def test_failover_between_two_batches_is_replayed() -> None:
    memory = Memory(rows(1_000), rows(1_000), rows(1))
    batch = memory.batch

    @contextmanager
    def fail_over(at_most: int, replication_ids: str, since: datetime) -> Iterator[Batch]:
        with batch(at_most, replication_ids, since) as pending:
            yield pending
        memory.current_ids = "second"

    memory.batch = fail_over  # type: ignore[method-assign]
    assert Drainer(memory, memory).drain() == Drained(2_001, replayed=1, reachable=True)


def test_age_of_the_rows_that_stay_pending_is_reported() -> None:
    assert Drainer(memory := Memory(rows(1)), memory).drain_and_report_age() == 0.0
    assert memory.done[-1] == "mark", "the rows must be drained first"
    assert Drainer(memory := Memory(rows(1), cache_calls=0), memory).drain_and_report_age() == 7.0


def test_drain_ends_after_its_time_even_if_writers_are_faster() -> None:
    memory, seconds = Memory(*[rows(1_000)] * 10), iter(range(100))
    assert Drainer(memory, memory, lambda: next(seconds)).drain(seconds=2).rows == 3_000


def test_database_error_is_raised_to_the_caller() -> None:
    memory = Memory(rows(1))

    def refuse(*_: object) -> NoReturn:
        raise StatementTimeout("locked")

    memory.batch = refuse  # type: ignore[method-assign]
    with pytest.raises(StatementTimeout):
        Drainer(memory, memory).drain()

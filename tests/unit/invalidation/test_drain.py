"""Draining, with an outbox and a cache in memory: when it goes on, when it stops, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NoReturn

import pytest

from cacheaside.errors import CacheUnavailable, StatementTimeout
from cacheaside.invalidation.drain import EVER, Backlog, Batch, Drained, Drainer


class Memory:
    """An outbox and a cache in one, that put down what is done to them."""

    def __init__(self, *batches: Sequence[str], away_after: int = 1_000) -> None:
        self.batches = list(batches)
        self.until: dict[datetime, Sequence[str]] = {}  # which batch is the last one written by then
        self.away: set[str] = set()  # tags of servers that do not answer
        self.calls_left = away_after
        self.done: list[str] = []
        self.known = "first"
        self.primary = "first"

    @contextmanager
    def batch(self, at_most: int, replication_ids: str, since: datetime) -> Iterator[Batch]:
        assert replication_ids == self.primary
        number = 0 if since is EVER else 1 + self.batches.index(self.until[since])
        changes = self.batches[number] if number < len(self.batches) else []
        until = EVER + timedelta(seconds=len(self.until) + 1)
        self.until[until] = changes
        yield Batch(changes, until)
        if changes:
            self.batches.remove(changes)
            self.done.append("mark")

    def replay(self, replication_ids: str) -> bool:
        new, self.known = replication_ids != self.known, replication_ids
        return new

    def backlog(self) -> Backlog:
        return Backlog(len(self.batches), age_s=7.0 if self.batches else 0.0)

    def invalidate_tags(self, tags: Sequence[str]) -> int:
        self._call()
        self.done.append(f"{len(tags)} tags")
        if self.away & set(tags):
            raise CacheUnavailable("a server of several")
        return 0

    def replication_ids(self) -> str:
        self._call()
        return self.primary

    def _call(self) -> None:
        self.calls_left -= 1
        if self.calls_left < 0:
            raise CacheUnavailable("away")


def rows(count: int, table: str = "products") -> list[str]:
    return [f"{table}:{number}" for number in range(count)]


def test_a_full_batch_is_followed_by_another() -> None:
    memory = Memory(rows(1_000), rows(1_000), rows(3))
    assert Drainer(memory, memory).drain() == Drained(2_003, replayed=0, reachable=True)
    assert memory.done[-2:] == ["4 tags", "mark"]


def test_nothing_is_marked_that_was_not_taken_out() -> None:
    memory = Memory(rows(1_000), away_after=1)  # who it is
    assert Drainer(memory, memory).drain() == Drained(0, replayed=0, reachable=False)
    assert memory.done == []


def test_a_cache_that_is_away_costs_postgresql_nothing() -> None:
    memory = Memory(rows(1), away_after=0)
    memory.replay = memory.batch = pytest.fail  # type: ignore[method-assign,assignment]
    assert not Drainer(memory, memory).drain().reachable


def test_a_batch_that_one_server_holds_up_does_not_hold_up_those_behind() -> None:
    memory = Memory(rows(1_000, "orders"), rows(1_000, "products"), rows(3, "customers"))
    memory.away = {"products"}
    assert Drainer(memory, memory).drain() == Drained(1_003, replayed=0, reachable=False)
    assert memory.batches == [rows(1_000, "products")]


def test_a_failover_is_noticed_between_two_batches() -> None:
    memory = Memory(rows(1_000), rows(1_000), rows(1))
    batch = memory.batch

    @contextmanager
    def fail_over(at_most: int, replication_ids: str, since: datetime) -> Iterator[Batch]:
        with batch(at_most, replication_ids, since) as pending:
            yield pending
        memory.primary = "second"

    memory.batch = fail_over  # type: ignore[method-assign]
    assert Drainer(memory, memory).drain() == Drained(2_001, replayed=1, reachable=True)


def test_what_stays_pending_is_told_by_its_age() -> None:
    assert Drainer(memory := Memory(rows(1)), memory).settle() == 0.0
    assert memory.done[-1] == "mark", "and first it is drained"
    assert Drainer(memory := Memory(rows(1), away_after=0), memory).settle() == 7.0


def test_writers_that_are_faster_do_not_keep_it_for_ever() -> None:
    memory, seconds = Memory(*[rows(1_000)] * 10), iter(range(100))
    assert Drainer(memory, memory, lambda: next(seconds)).drain(seconds=2).rows == 3_000


def test_what_postgresql_says_comes_out() -> None:
    memory = Memory(rows(1))

    def refuse(*_: object) -> NoReturn:
        raise StatementTimeout("locked")

    memory.batch = refuse  # type: ignore[method-assign]
    with pytest.raises(StatementTimeout):
        Drainer(memory, memory).drain()

"""Draining, with an outbox and a cache in memory: when it goes on, when it stops, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from cacheaside.drain import Backlog, Drained, Drainer
from cacheaside.errors import CacheUnavailable, StatementTimeout


class Memory:
    """An outbox and a cache in one, that put down what is done to them."""

    def __init__(self, *batches: Sequence[str], away_after: int = 1_000) -> None:
        self.batches = list(batches)
        self.calls_left = away_after
        self.done: list[str] = []
        self.known = "first"
        self.primary = "first"

    def drain(self, take_out: Callable[[Sequence[str]], object], at_most: int, replication_ids: str) -> int:
        assert replication_ids == self.primary
        if not self.batches:
            return 0
        take_out(self.batches[0])
        self.done.append("mark")
        return len(self.batches.pop(0))

    def replay(self, replication_ids: str) -> bool:
        new, self.known = replication_ids != self.known, replication_ids
        return new

    def backlog(self) -> Backlog:
        return Backlog(len(self.batches), age_s=7.0 if self.batches else 0.0)

    def invalidate_tags(self, tags: Sequence[str]) -> int:
        self._call()
        self.done.append(f"{len(tags)} tags")
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


def test_one_call_to_the_cache_takes_no_more_than_it_can_do_in_its_time() -> None:
    memory = Memory(rows(500, "products") + rows(500, "orders"))
    Drainer(memory, memory).drain()
    assert memory.done == ["500 tags", "500 tags", "2 tags", "mark"]


def test_nothing_is_marked_that_was_not_taken_out() -> None:
    memory = Memory(rows(1_000), away_after=2)  # who it is, and the first half
    assert Drainer(memory, memory).drain() == Drained(0, replayed=0, reachable=False)
    assert memory.done == ["500 tags"]


def test_a_cache_that_is_away_costs_postgresql_nothing() -> None:
    memory = Memory(rows(1), away_after=0)
    memory.replay = memory.drain = pytest.fail  # type: ignore[assignment]
    assert not Drainer(memory, memory).drain().reachable


def test_a_failover_is_noticed_between_two_batches() -> None:
    memory = Memory(rows(1_000), rows(1_000), rows(1))
    drain = memory.drain

    def fail_over(take_out: Callable[[Sequence[str]], object], at_most: int, replication_ids: str) -> int:
        count = drain(take_out, at_most, replication_ids)
        memory.primary = "second"
        return count

    memory.drain = fail_over  # type: ignore[method-assign]
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

    def refuse(*_: object) -> int:
        raise StatementTimeout("locked")

    memory.drain = refuse  # type: ignore[method-assign]
    with pytest.raises(StatementTimeout):
        Drainer(memory, memory).drain()

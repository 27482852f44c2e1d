"""A sweep, with its outbox, cache and verifier in memory: the order of its steps, and how it handles failures."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from cacheaside.errors import DatabaseUnavailable
from cacheaside.invalidation.drain import EVER, Backlog, Drained
from cacheaside.invalidation.sweep import Sweep
from cacheaside.invalidation.verification import Verification

JUST_NOW = datetime(2026, 11, 28, tzinfo=UTC)


class Harness:
    """The outbox, the verifier and the clock of a sweep. Each step takes 1 ms, and `done` lists it.

    `failing` names steps, and the second until which each one fails.
    """

    def __init__(self, **failing: float) -> None:
        self.now = 0.0
        self.done: list[str] = []
        self.unrecorded: dict[str, str] = {}
        self.failing = failing
        self.reachable_from = 0.0
        self.changing_until = 0.0
        self.slept: list[float] = []
        self.since: list[datetime] = []  # of each drain
        self.drained = 0  # rows, and as many replays
        self.sweep = Sweep(self, self.drain, self.verify, lambda: self.now, self.sleep)

    def _do(self, step: str) -> None:
        self.now += 0.001
        self.done.append(step)
        if self.now < self.failing.get(step, 0.0):
            raise DatabaseUnavailable("the database cannot be reached")

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def oldest_recent(self) -> datetime | None:
        self._do("look")
        return JUST_NOW if self.now < self.changing_until else None

    def drain(self, seconds: float, since: datetime) -> Drained:
        assert seconds > 0
        self._do("drain")
        self.since.append(since)
        rows = int(self.now < self.changing_until)
        self.drained += rows
        return Drained(rows, replayed=rows, reachable=self.now >= self.reachable_from)

    def follow(self) -> dict[str, str]:
        self._do("follow")
        return self.unrecorded

    def backlog(self) -> Backlog:
        return Backlog(0, 0.0)

    def prune(self) -> None:
        self._do("prune")

    def prune_keys(self) -> None:
        self._do("prune_keys")

    def fold(self) -> int:
        self._do("fold")
        return 0

    def verify(self) -> Verification:
        self._do("verify")
        return Verification(0)


class Report:
    """Keeps the totals of drains that a sweep reports."""

    def __init__(self) -> None:
        self.totals: list[tuple[int, int, Backlog]] = []
        self.unrecorded: list[int] = []

    def followed(self, unrecorded: int) -> None:
        self.unrecorded.append(unrecorded)

    def drained(self, drained: Drained, backlog: Backlog) -> None:
        self.totals.append((drained.rows, drained.replayed, backlog))

    def folded(self, rows: int) -> None: ...
    def verified(self, verification: Verification) -> None: ...


OVER = ("INFO", "changes are invalidated in the cache again")
AFTER_POLLING = ["drain", "follow", "prune", "prune_keys", "fold", "verify"]


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_sweep_without_polling_does_each_step_once() -> None:
    harness = Harness()
    harness.sweep.run(0.0, Report())
    assert harness.done == AFTER_POLLING


def test_quiet_sweep_looks_ten_times_a_second_and_drains_all_each_second() -> None:
    harness = Harness()
    harness.sweep.run(2.0, Report())
    assert set(harness.slept[:-1]) == {0.1}
    drains = [at for at, step in enumerate(harness.done) if step == "drain"]
    assert harness.done[:3] == ["drain", "follow", "look"]
    assert harness.done[drains[0] : drains[1]].count("look") in (9, 10)
    assert set(harness.since) == {EVER}, "so the cache is asked for its ids, and old transactions are found"


def test_changes_are_looked_for_more_often_until_a_second_has_passed_without_one() -> None:
    harness = Harness()
    harness.changing_until = 3.0
    harness.sweep.run(6.0, Report())
    quiet = harness.slept.index(0.1)
    assert set(harness.slept[:quiet]) == {0.025}
    assert 4.0 <= sum(harness.slept[:quiet]) + 0.002 * quiet < 4.2
    assert JUST_NOW in harness.since, "a drain begins at the change that was found"


def test_all_is_drained_each_second_also_while_changes_come() -> None:
    harness = Harness()
    harness.changing_until = 6.0
    harness.sweep.run(6.0, Report())
    assert harness.since.count(EVER) in (6, 7)


def test_schema_is_followed_every_20_seconds_and_what_cannot_be_recorded_is_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    harness, report = Harness(), Report()
    harness.unrecorded = {"products": "public.products: it has no triggers that record its changes"}
    harness.sweep.run(50.0, report)
    assert harness.done.count("follow") == 4
    assert report.unrecorded == [1]
    assert logged(caplog) == [
        (
            "ERROR",
            "changes of products could go unrecorded: public.products: it has no triggers that record its changes",
        )
    ]


def test_schema_that_cannot_be_followed_stops_nothing_else_and_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    harness, report = Harness(follow=99.0), Report()
    harness.sweep.run(0.0, report)
    assert harness.done == AFTER_POLLING
    assert report.unrecorded == [1]
    assert logged(caplog) == [
        (
            "ERROR",
            "changes of the schema could go unrecorded: they cannot be followed: the database cannot be reached",
        )
    ]


def test_rows_of_all_drains_are_reported_as_one_total() -> None:
    harness, report = Harness(), Report()
    harness.changing_until = 99.0
    harness.sweep.run(3.0, report)
    assert report.totals == [(harness.drained, harness.drained, Backlog(0, 0.0))]
    assert harness.drained > 10


def test_sweep_without_a_problem_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "cacheaside")
    Harness().sweep.run(1.0, Report())
    assert logged(caplog) == []


def test_verification_does_not_interrupt_polling() -> None:
    harness = Harness()
    harness.sweep.run(60.0, Report())
    assert harness.done.index("verify") == len(harness.done) - 1
    assert harness.now >= 60.0


def test_database_failure_is_retried_each_second_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    harness = Harness(look=5.0, drain=5.0)
    caplog.set_level(logging.INFO, "cacheaside")
    harness.sweep.run(10.0, Report())
    assert harness.slept.count(1.0) in (4, 5, 6)
    assert logged(caplog) == [("WARNING", "the database cannot be reached: trying again each second"), OVER]
    assert isinstance(caplog.records[0].exc_info, tuple)
    assert isinstance(caplog.records[0].exc_info[1], DatabaseUnavailable)


def test_database_failure_after_polling_fails_the_invocation() -> None:
    with pytest.raises(DatabaseUnavailable):
        Harness(drain=99.0).sweep.run(5.0, Report())
    with pytest.raises(DatabaseUnavailable):
        Harness(drain=99.0).sweep.run(0.0, Report())


def test_unavailable_cache_is_retried_each_second_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    harness = Harness()
    harness.reachable_from = 5.0
    caplog.set_level(logging.INFO, "cacheaside")
    harness.sweep.run(10.0, Report())
    assert 4 <= harness.slept.count(1.0) <= 5
    assert logged(caplog) == [("WARNING", "the cache cannot be reached: changes stay in the outbox"), OVER]


def test_drained_rows_are_kept_while_the_cache_is_unavailable_because_a_replay_may_need_them() -> None:
    harness = Harness()
    harness.reachable_from = 1_000.0
    harness.sweep.run(0.0, Report())
    assert harness.done == ["drain", "follow", "prune_keys", "fold", "verify"]


def test_cache_that_stays_unavailable_is_not_logged_again_by_the_next_invocation(
    caplog: pytest.LogCaptureFixture,
) -> None:
    harness = Harness()
    harness.reachable_from = 1_000.0
    for _ in range(3):
        harness.sweep.run(0.0, Report())
    assert len(caplog.records) == 1

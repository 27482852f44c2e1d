"""A sweep, with its outbox, cache and verifier in memory: the order of its steps, and how it handles failures."""

from __future__ import annotations

import logging

import pytest

from cacheaside.errors import DatabaseUnavailable
from cacheaside.invalidation.drain import Backlog, Drained
from cacheaside.invalidation.sweep import Sweep
from cacheaside.invalidation.verification import Verification


class Harness:
    """The outbox, the verifier and the clock of a sweep. Each step takes 0.1 s, and `done` lists it.

    `failing` names steps, and the second until which each one fails.
    """

    def __init__(self, **failing: float) -> None:
        self.now = 0.0
        self.done: list[str] = []
        self.unrecorded: dict[str, str] = {}
        self.failing = failing
        self.reachable_from = 0.0
        self.changing_until = 0.0
        self.waited: list[float] = []
        self.sweep = Sweep(self, self.drain, self.verify, lambda: self.now, self.sleep)

    def _do(self, step: str) -> None:
        self.now += 0.1
        self.done.append(step)
        if self.now < self.failing.get(step, 0.0):
            raise DatabaseUnavailable("the database cannot be reached")

    def sleep(self, seconds: float) -> None:
        self.done.append("sleep")
        self.now += seconds

    def drain(self, seconds: float) -> Drained:
        self._do("drain")
        return Drained(int(self.now < self.changing_until), replayed=0, reachable=self.now >= self.reachable_from)

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

    def listen(self, seconds: float) -> None:
        self._do("listen")

    def stop_notifications(self) -> None:
        self._do("stop_notifications")

    def unlisten(self) -> None:
        self._do("unlisten")

    def await_change(self, seconds: float) -> bool:
        self.waited.append(seconds)
        self.now += seconds
        self._do("wait")
        return False

    def verify(self) -> Verification:
        self._do("verify")
        return Verification(0)


class Report:
    """Keeps the totals of drains that a sweep reports."""

    def __init__(self) -> None:
        self.totals: list[Drained] = []
        self.unrecorded: list[int] = []

    def followed(self, unrecorded: int) -> None:
        self.unrecorded.append(unrecorded)

    def drained(self, drained: Drained, backlog: Backlog) -> None:
        self.totals.append(drained)

    def folded(self, rows: int) -> None: ...
    def verified(self, verification: Verification) -> None: ...


AFTER_LISTENING = ["drain", "follow", "prune", "prune_keys", "fold", "verify"]


def test_sweep_without_listening_does_each_step_once() -> None:
    harness = Harness()
    harness.sweep.run(0.0, Report())
    assert harness.done == AFTER_LISTENING


def test_sweep_listens_before_it_drains_so_that_no_change_is_missed() -> None:
    harness = Harness()
    harness.sweep.run(2.0, Report())
    listening = ["listen", "drain", "follow", "wait", "listen", "drain", "wait", "unlisten"]
    assert harness.done == [*listening, *AFTER_LISTENING]
    assert max(harness.waited) == 1.0


def test_schema_is_followed_every_20_seconds_and_what_cannot_be_recorded_is_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    harness, report = Harness(), Report()
    harness.unrecorded = {"products": "public.products: it has no triggers that record its changes"}
    harness.sweep.run(50.0, report)
    assert harness.done.count("follow") == 4
    assert report.unrecorded == [1]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_schema_that_cannot_be_followed_stops_nothing_else_and_is_reported() -> None:
    harness, report = Harness(follow=99.0), Report()
    harness.sweep.run(0.0, report)
    assert harness.done == AFTER_LISTENING
    assert report.unrecorded == [1]


def test_notifications_are_stopped_while_changes_are_many() -> None:
    harness = Harness()
    harness.changing_until = 3.0
    harness.sweep.run(6.0, Report())
    steps = [step for step in harness.done if step in ("listen", "stop_notifications")]
    assert steps[:3] == ["listen", "stop_notifications", "listen"], (
        "notified of the first change, and not again until it was quiet"
    )
    assert "stop_notifications" not in steps[3:]
    stopped = harness.done.index("stop_notifications")
    listened = harness.done.index("listen", stopped)
    between = [step for step in harness.done[stopped + 1 : listened] if step != "follow"]
    assert between == ["wait", "drain"] * (len(between) // 2) + ["wait"]
    assert set(harness.waited[: (listened - stopped) // 2]) == {0.025}
    assert listened - stopped > 20


def test_notifications_are_stopped_while_the_cache_is_unavailable() -> None:
    harness = Harness()
    harness.reachable_from = 5.0
    harness.sweep.run(10.0, Report())
    steps = [step for step in harness.done if step in ("listen", "stop_notifications")]
    assert steps[:2] == ["listen", "stop_notifications"]
    back = next(at for at, step in enumerate(harness.done) if step == "wait")
    assert harness.done[:back].count("listen") == 1


def test_rows_of_all_drains_are_reported_as_one_total() -> None:
    harness, report = Harness(), Report()
    harness.changing_until = 3.0
    harness.sweep.run(6.0, report)
    (total,) = report.totals
    assert total.rows > 10


def test_verification_does_not_interrupt_listening() -> None:
    harness = Harness()
    harness.sweep.run(60.0, Report())
    assert harness.done.index("verify") == len(harness.done) - 1
    assert harness.now >= 60.0


@pytest.mark.parametrize("step", ["listen", "drain"])
def test_database_failure_is_retried_each_second_and_logged_once(step: str, caplog: pytest.LogCaptureFixture) -> None:
    harness = Harness(**{step: 5.0})
    caplog.set_level(logging.INFO, "cacheaside")
    harness.sweep.run(10.0, Report())
    assert harness.done.count("sleep") in (4, 5, 6)
    assert harness.done.count("listen") > 1, "it must listen on the new connection too"
    levels = [record.levelname for record in caplog.records]
    assert levels[:1] == ["WARNING"]
    assert levels[-1:] == ["INFO"]


def test_database_failure_after_listening_fails_the_invocation() -> None:
    with pytest.raises(DatabaseUnavailable):
        Harness(drain=99.0).sweep.run(5.0, Report())
    with pytest.raises(DatabaseUnavailable):
        Harness(drain=99.0).sweep.run(0.0, Report())


def test_unavailable_cache_is_retried_each_second_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    harness = Harness()
    harness.reachable_from = 5.0
    caplog.set_level(logging.INFO, "cacheaside")
    harness.sweep.run(10.0, Report())
    assert 4 <= harness.done.count("sleep") <= 5
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


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

"""A sweep, with everything that it drives in memory: what comes after what, and what it makes of trouble."""

from __future__ import annotations

import logging

import pytest

from cacheaside.errors import DatabaseUnavailable
from cacheaside.invalidation.drain import Backlog, Drained
from cacheaside.invalidation.sweep import Sweep
from cacheaside.invalidation.verifier import Verification


class World:
    """A clock, and all that a sweep drives: each step takes 0.1 s and is put down. `failing`: until when."""

    def __init__(self, **failing: float) -> None:
        self.now = 0.0
        self.done: list[str] = []
        self.failing = failing
        self.reachable_from = 0.0
        self.changing_until = 0.0
        self.waited: list[float] = []
        self.sweep = Sweep(self, self.drain, self.verify, lambda: self.now, self.sleep)

    def _do(self, what: str) -> None:
        self.now += 0.1
        self.done.append(what)
        if self.now < self.failing.get(what, 0.0):
            raise DatabaseUnavailable("the database cannot be reached")

    def sleep(self, seconds: float) -> None:
        self.done.append("sleep")
        self.now += seconds

    def drain(self, seconds: float) -> Drained:
        self._do("drain")
        return Drained(int(self.now < self.changing_until), replayed=0, reachable=self.now >= self.reachable_from)

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


class Told:
    """A report that is kept."""

    def __init__(self) -> None:
        self.all: list[Drained] = []

    def drained(self, drained: Drained, backlog: Backlog) -> None:
        self.all.append(drained)

    def folded(self, rows: int) -> None: ...
    def verified(self, verification: Verification) -> None: ...


class Silence:
    """A report that nobody reads."""

    def drained(self, drained: Drained, backlog: Backlog) -> None: ...
    def folded(self, rows: int) -> None: ...
    def verified(self, verification: Verification) -> None: ...


IN_THE_END = ["drain", "prune", "prune_keys", "fold", "verify"]


def test_without_listening_it_is_done_after_one_round() -> None:
    world = World()
    world.sweep.run(0.0, Silence())
    assert world.done == IN_THE_END


def test_it_listens_before_it_drains_so_that_nothing_falls_between() -> None:
    world = World()
    world.sweep.run(2.0, Silence())
    assert world.done == ["listen", "drain", "wait", "listen", "drain", "wait", "unlisten", *IN_THE_END]
    assert max(world.waited) == 1.0


def test_commits_do_not_wait_for_each_other_while_there_are_many() -> None:
    world = World()
    world.changing_until = 3.0
    world.sweep.run(6.0, Silence())
    steps = [step for step in world.done if step in ("listen", "stop_notifications")]
    assert steps[:3] == ["listen", "stop_notifications", "listen"], (
        "told of the first change, and then not until it was quiet again"
    )
    assert "stop_notifications" not in steps[3:]
    stopped, listened = world.done.index("stop_notifications"), world.done.index("listen", 1)
    assert world.done[stopped + 1 : listened] == ["wait", "drain"] * ((listened - stopped) // 2 - 1) + ["wait"]
    assert set(world.waited[: (listened - stopped) // 2]) == {0.025}
    assert listened - stopped > 20


def test_commits_do_not_wait_for_each_other_while_the_cache_is_away() -> None:
    world = World()
    world.reachable_from = 5.0
    world.sweep.run(10.0, Silence())
    steps = [step for step in world.done if step in ("listen", "stop_notifications")]
    assert steps[:2] == ["listen", "stop_notifications"]
    back = next(at for at, step in enumerate(world.done) if step == "wait")
    assert world.done[:back].count("listen") == 1


def test_what_is_drained_is_counted_up_and_the_backlog_asked_for_once() -> None:
    world, told = World(), Told()
    world.changing_until = 3.0
    world.sweep.run(6.0, told)
    (drained,) = told.all
    assert drained.rows > 10


def test_nothing_is_checked_while_it_should_listen() -> None:
    world = World()
    world.sweep.run(60.0, Silence())
    assert world.done.index("verify") == len(world.done) - 1
    assert world.now >= 60.0


@pytest.mark.parametrize("step", ["listen", "drain"])
def test_trouble_with_the_database_is_tried_again_each_second_and_told_once(
    step: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(**{step: 5.0})
    caplog.set_level(logging.INFO, "cacheaside")
    world.sweep.run(10.0, Silence())
    assert world.done.count("sleep") in (4, 5, 6)
    assert world.done.count("listen") > 1, "on the new connection, too"
    levels = [record.levelname for record in caplog.records]
    assert levels[:1] == ["WARNING"]
    assert levels[-1:] == ["INFO"]


def test_a_database_that_is_away_in_the_end_fails_the_invocation() -> None:
    with pytest.raises(DatabaseUnavailable):
        World(drain=99.0).sweep.run(5.0, Silence())
    with pytest.raises(DatabaseUnavailable):
        World(drain=99.0).sweep.run(0.0, Silence())


def test_a_cache_that_is_away_is_tried_each_second_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.reachable_from = 5.0
    caplog.set_level(logging.INFO, "cacheaside")
    world.sweep.run(10.0, Silence())
    assert 4 <= world.done.count("sleep") <= 5
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_what_was_drained_is_kept_while_the_cache_is_away_because_another_may_come_back() -> None:
    world = World()
    world.reachable_from = 1_000.0
    world.sweep.run(0.0, Silence())
    assert world.done == ["drain", "prune_keys", "fold", "verify"]


def test_a_cache_that_stays_away_is_not_told_again_by_the_next_invocation(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.reachable_from = 1_000.0
    for _ in range(3):
        world.sweep.run(0.0, Silence())
    assert len(caplog.records) == 1

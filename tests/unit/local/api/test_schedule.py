"""When the scheduler invokes, on a clock of the test's."""

from __future__ import annotations

from queue import SimpleQueue
from types import SimpleNamespace

import pytest

from local.api.pool import FunctionFailed
from local.api.schedule import Scheduler
from local.template import Schedule


class Clock:
    """Advances by each wait, plus the next number of `late` seconds. After the last the scheduler is stopped."""

    def __init__(self, *late: float) -> None:
        self.now = 0.0
        self.woke: list[float] = []
        self._late = iter(late)

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        late = next(self._late, None)
        if late is None:
            return True
        self.now += max(seconds, 0) + late
        self.woke.append(self.now)
        return False


def moments(monkeypatch: pytest.MonkeyPatch, *late: float) -> list[float]:
    """The times at which a function with a schedule of one minute was invoked."""
    clock, invoked = Clock(*late), SimpleQueue[object]()
    monkeypatch.setattr("local.api.schedule.time", clock)
    scheduler = Scheduler([], {"Function": SimpleNamespace(invoke=invoked.put)}, print)
    monkeypatch.setattr(scheduler, "_stopped", clock)
    scheduler._run(Schedule("Clock", "Function", 60, {}))
    for _ in clock.woke:
        invoked.get(timeout=30)
    return clock.woke


def test_a_moment_late_each_time_does_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert moments(monkeypatch, 0, 1, 2, 1) == [0, 61, 122, 181]


def test_times_that_passed_while_the_machine_slept_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    assert moments(monkeypatch, 0, 500, 0, 0) == [0, 560, 560, 620]  # one of them is not


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        ("DatabaseUnavailable: no connection (10.0.0.1) (/a/connection.py:63)", "no connection (10.0.0.1)"),
        ("KeyError: 'id' (/a/handler.py:7)", "KeyError: 'id' (/a/handler.py:7)"),
    ],
)
def test_a_server_that_is_not_there_is_told_without_a_line_of_the_library(failure: str, told: str) -> None:
    def fail(_event: object) -> None:
        raise FunctionFailed(failure)

    lines: list[str] = []
    Scheduler([], {"F": SimpleNamespace(invoke=fail)}, lines.append)._invoke(Schedule("Clock", "F", 60, {}))  # type: ignore[dict-item]
    assert lines == [f"F, on schedule: {told}"]

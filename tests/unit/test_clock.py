"""The clock of pauses: never set back, and never standing still for as long as a sandbox is frozen."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from cacheaside import clock
from cacheaside.clock import FreezeClock


@pytest.mark.parametrize(
    ("story", "monotonic_ms", "wall_ms", "passed_ms"),
    [
        ("both go on", [0, 100], [5_000, 5_100], 100),
        ("the wall clock is set back", [0, 100, 200], [5_000, 0, 100], 200),
        ("the monotonic clock stands still in a frozen sandbox", [0, 10, 20], [0, 10, 60_020], 60_020),
        ("the wall clock is set back in a frozen sandbox", [0, 10], [60_000, 0], 10),
    ],
)
def test_pauses_end(
    story: str, monotonic_ms: list[int], wall_ms: list[int], passed_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ns(values: list[int]) -> Iterator[int]:
        return iter([value * 1_000_000 for value in values])

    monotonic, wall = ns(monotonic_ms), ns(wall_ms)
    times = SimpleNamespace(monotonic_ns=lambda: next(monotonic), time_ns=lambda: next(wall))
    monkeypatch.setattr(clock, "time", times)
    now_ms = FreezeClock()
    assert [now_ms() for _ in monotonic_ms[1:]][-1] == passed_ms, story

"""The time of one call to the cache: the test moves the clock, and no socket is opened."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cacheaside.drivers.cache import deadline
from cacheaside.drivers.cache.deadline import CALL_S, Call, call_deadline, opening


class Clock:
    """A monotonic clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def pass_s(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(deadline, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def receive(clock: Clock, call: Call, *, size: int, rate: float, piece: int) -> bool:
    """Receive `size` bytes at `rate` bytes a second. Returns whether the time of the call sufficed."""
    for _ in range(0, size, piece):
        try:
            timeout = call.left()
        except TimeoutError:
            return False
        if piece / rate > timeout:
            return False
        clock.pass_s(piece / rate)
        call.received(piece)
    return True


MB = 1_000_000


@pytest.mark.parametrize(
    ("limit_s", "size", "rate", "piece", "arrives", "is_large"),
    [
        (0.2, 1.4 * MB, 5 * MB, 65_536, True, True),
        (0.01, 1.4 * MB, 5 * MB, 16_384, True, True),  # a limit of 10 ms is for silence, too
        (0.2, 60 * MB, 5 * MB, 65_536, False, True),
        (0.01, 60 * MB, 5 * MB, 16_384, False, True),
        (0.2, 1.4 * MB, 1.1 * MB, 16_384, False, True),  # it would take longer than a large value may
        (0.2, 5_000, 50, 1, False, False),  # a byte at a time
        (0.01, 5_000, 500, 1, False, False),
        (0.01, 5_000, 5_000, 1, False, False),
        (0.2, 150, 1_000, 50, True, False),
    ],
)
def test_bytes_that_keep_coming_extend_the_time_of_a_call(
    clock: Clock, limit_s: float, size: float, rate: float, piece: int, arrives: bool, is_large: bool
) -> None:
    began = clock.now
    with call_deadline(limit_s) as call:
        assert receive(clock, call, size=int(size), rate=rate, piece=piece) is arrives
        assert call.is_large is is_large
    assert clock.now - began <= (0.6 if is_large else limit_s + 0.01)


def test_silence_after_a_large_part_ends_the_call(clock: Clock) -> None:
    with call_deadline() as call:
        call.received(100_000)
        clock.pass_s(CALL_S + 0.2)
        assert call.left() <= 0.001
        clock.pass_s(0.01)
        with pytest.raises(TimeoutError):
            call.left()


def test_bytes_that_arrived_while_this_process_was_paused_are_taken_and_no_more(clock: Clock) -> None:
    with call_deadline(0.01) as call:
        clock.pass_s(0.5)
        assert 0 < call.left() <= 0.001
        call.received(100)
        clock.pass_s(0.002)
        with pytest.raises(TimeoutError):
            call.left()


def test_block_inside_another_keeps_its_deadline(clock: Clock) -> None:
    """So a step of two calls, for a script that the server does not know, has one limit."""
    with call_deadline(0.05) as outer:
        clock.pass_s(0.03)
        with call_deadline() as inner:
            assert inner is outer
        assert outer.left() == pytest.approx(0.02)
    with call_deadline() as call:
        assert call.left() == pytest.approx(CALL_S)


@pytest.mark.parametrize(("opening_s", "at_most_s"), [(float("inf"), 1.0), (0.05, 0.05)])
def test_opening_has_a_limit_of_its_own_and_stops_the_clock_of_the_call(
    clock: Clock, opening_s: float, at_most_s: float
) -> None:
    with call_deadline(0.01, opening_s) as call:
        with opening(), opening():
            assert call.left() == pytest.approx(at_most_s)
            clock.pass_s(0.04)
        assert call.left() == pytest.approx(0.01)
        assert call.opening_took_s == pytest.approx(0.04)
        with opening():
            assert call.left() == pytest.approx(at_most_s - 0.04)


def test_each_chunk_that_is_sent_extends_the_time(clock: Clock) -> None:
    sent: list[int] = []

    def sendall(data: Any) -> None:
        clock.pass_s(len(data) / (5 * MB))
        sent.append(len(data))

    plain = SimpleNamespace(fileno=lambda: 0, gettimeout=lambda: CALL_S, settimeout=lambda _: None, sendall=sendall)
    with call_deadline(0.01) as call:
        deadline._Socket(plain).sendall(bytes(int(1.4 * MB)))  # type: ignore[arg-type]
        assert sum(sent) == 1.4 * MB
        assert call.left() > 0.01


@pytest.mark.parametrize(
    ("sent", "unacknowledged", "is_large"),
    [
        (140_000, 140_000, False),  # a dead server: all is in the kernel's buffer
        (1_400_000, 1_000_000, True),  # a narrow network: bytes pass
        (1_400_000, 0, False),  # a silent server, which has got them all
    ],
)
def test_bytes_that_were_sent_count_only_if_they_pass(sent: int, unacknowledged: int, is_large: bool) -> None:
    with call_deadline() as call:
        call.sent(sent)
        call.unacknowledged = unacknowledged
        assert call.is_large is is_large

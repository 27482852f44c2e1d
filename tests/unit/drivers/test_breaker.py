"""The breaker: every change of state, with clock and chance controlled by the test."""

from __future__ import annotations

from typing import Any

import pytest

from cacheaside.drivers.breaker import Breaker, BreakerRules, BreakerState, Ticket

RULES = BreakerRules(failures=3, pause_ms=1_000, pause_at_most_ms=3_500, probe_ms=500)


class Server:
    """A server behind a breaker. Time passes only by `pass_ms`."""

    def __init__(self, chance: float = 0.0) -> None:
        self.now_ms, self.chance = 1_000_000, chance
        self.changes: list[BreakerState] = []
        self.breaker = Breaker(RULES, lambda: self.now_ms, lambda: self.chance, self.changes.append)

    def admit(self) -> Ticket:
        ticket = self.breaker.admit()
        assert ticket is not None
        return ticket

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            self.breaker.failed(self.admit())

    def succeed(self) -> None:
        self.breaker.succeeded(self.admit())

    def pass_ms(self, ms: int) -> None:
        self.now_ms += ms

    def pause_ms(self) -> int:
        """Return for how long the breaker refuses calls from now. It moves the clock by 1 ms at a time."""
        for ms in range(100_000):
            if self.breaker.admit() is not None:
                return ms
            self.now_ms += 1
        raise AssertionError("it never admits a call again")


def opened(**options: Any) -> Server:
    server = Server(**options)
    server.fail(RULES.failures)
    return server


def half_open() -> tuple[Server, Ticket]:
    server = opened()
    server.pass_ms(RULES.pause_ms)
    return server, server.admit()


def test_closed_lets_any_number_of_calls_through() -> None:
    server = Server()
    assert len({server.admit() for _ in range(5)}) == 1
    assert (server.breaker.state, server.changes) == (BreakerState.CLOSED, [])


def test_opens_at_the_third_failure_in_a_row_and_not_before() -> None:
    server = Server()
    server.fail(2)
    assert server.breaker.state is BreakerState.CLOSED
    server.fail()
    assert server.breaker.state is BreakerState.OPEN
    assert server.breaker.admit() is None


def test_success_resets_the_count_of_failures() -> None:
    server = Server()
    for _ in range(10):
        server.fail(2)
        server.succeed()
    assert server.changes == []


def test_open_refuses_until_the_pause_is_over() -> None:
    assert opened().pause_ms() == RULES.pause_ms


def test_half_open_admits_one_probe_at_a_time() -> None:
    server, _ = half_open()
    assert server.breaker.state is BreakerState.HALF_OPEN
    assert [server.breaker.admit() for _ in range(5)] == [None] * 5


def test_probe_that_succeeds_closes() -> None:
    server, probe = half_open()
    server.breaker.succeeded(probe)
    assert server.breaker.state is BreakerState.CLOSED
    server.fail(RULES.failures - 1)
    assert server.breaker.state is BreakerState.CLOSED


def test_probe_that_fails_opens_again_for_twice_as_long_up_to_the_limit() -> None:
    server = opened()
    pauses = []
    for _ in range(4):
        pauses.append(server.pause_ms())  # the last of its calls is the probe
        server.pass_ms(RULES.probe_ms)
        server.fail()
    assert pauses == [1_000, 2_000, 3_500, 3_500]


def test_after_closing_the_next_pause_is_the_shortest_again() -> None:
    server, probe = half_open()
    server.breaker.failed(probe)
    server.pass_ms(2_000)
    server.succeed()
    server.fail(RULES.failures)
    assert server.pause_ms() == RULES.pause_ms


def test_probe_that_never_reports_is_replaced() -> None:
    server, _lost = half_open()
    server.pass_ms(RULES.probe_ms - 1)
    assert server.breaker.admit() is None
    server.pass_ms(1)
    server.succeed()
    assert server.breaker.state is BreakerState.CLOSED


@pytest.mark.parametrize("report", [Breaker.succeeded, Breaker.failed])
def test_result_of_a_replaced_probe_is_ignored(report: Any) -> None:
    server, late = half_open()
    server.pass_ms(RULES.probe_ms)
    probe = server.admit()
    report(server.breaker, late)
    assert server.breaker.state is BreakerState.HALF_OPEN
    server.breaker.succeeded(probe)
    assert server.breaker.state is BreakerState.CLOSED


@pytest.mark.parametrize("report", [Breaker.succeeded, Breaker.failed])
def test_result_of_a_call_from_before_the_opening_is_ignored(report: Any) -> None:
    server = Server()
    slow = server.admit()
    server.fail(RULES.failures)
    report(server.breaker, slow)
    assert server.breaker.state is BreakerState.OPEN
    assert server.pause_ms() == RULES.pause_ms


@pytest.mark.parametrize(("chance", "pause_ms"), [(0.0, 1_000), (0.5, 750), (0.999, 501)])
def test_jitter_only_shortens_and_at_most_by_half(chance: float, pause_ms: int) -> None:
    assert opened(chance=chance).pause_ms() == pause_ms


def test_clock_set_back_does_not_prolong_the_pause() -> None:
    server = opened()
    server.pass_ms(-3_600_000)
    server.succeed()
    assert server.breaker.state is BreakerState.CLOSED


def test_frozen_sandbox_probes_when_it_thaws() -> None:
    server = opened()
    server.pass_ms(3_600_000)
    server.admit()
    assert server.breaker.state is BreakerState.HALF_OPEN


def test_every_change_is_reported_once() -> None:
    server, probe = half_open()
    server.breaker.failed(probe)
    server.pass_ms(2_000)
    server.admit()
    server.pass_ms(RULES.probe_ms)
    server.succeed()
    assert server.changes == [
        BreakerState.OPEN,
        BreakerState.HALF_OPEN,
        BreakerState.OPEN,
        BreakerState.HALF_OPEN,
        BreakerState.CLOSED,
    ]

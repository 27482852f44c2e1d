"""The breaker: every change of state, with clock and chance controlled by the test."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside.drivers.breaker import Breaker, BreakerRules

RULES = BreakerRules(pause_ms=100, pause_at_most_ms=700)


class Server:
    """A server behind a breaker. Time passes only by `probe_when_due`."""

    def __init__(self, chance: float = 0.0) -> None:
        self.now_ms = 1_000_000
        self.pauses: list[int] = []
        self.breaker = Breaker(RULES, lambda: self.now_ms, lambda: chance, self.pauses.append)

    def call(self, results: str) -> None:
        """Report a call for each letter: F for a failure."""
        for letter in results:
            self.breaker.record(failed=letter == "F")

    def probe_when_due(self, *, answered: bool) -> int:
        """Wait until a probe is due, and report its result. Returns the ms that passed."""
        assert self.breaker.is_open
        began = self.now_ms
        while not self.breaker.is_due():
            self.now_ms += 1
        self.breaker.probed(answered=answered)
        return self.now_ms - began


@pytest.mark.parametrize(
    ("results", "opens"),
    [
        ("FF", True),
        ("FsF", True),
        ("F" + "s" * 8 + "F", True),
        ("F" + "s" * 9 + "F", False),
        ("F", False),
        ("s" * 50, False),
        ("s" * 50 + "F" + "sss" + "F", True),
    ],
)
def test_opens_when_two_of_the_last_ten_calls_failed(results: str, opens: bool) -> None:
    server = Server()
    server.call(results)
    assert server.breaker.is_open == opens


def test_cheap_calls_that_succeed_do_not_hide_expensive_ones_that_fail() -> None:
    """Each miss of a slow cache: its look and its release succeed, and its acquire is too slow."""
    server = Server()
    server.call("sFs" * 2)
    assert server.breaker.is_open


def test_probe_is_due_when_the_pause_is_over_and_not_before() -> None:
    server = Server()
    assert not server.breaker.is_due()
    server.call("FF")
    assert server.probe_when_due(answered=True) == RULES.pause_ms
    assert not server.breaker.is_open


def test_probes_that_fail_double_the_pause_up_to_the_limit() -> None:
    server = Server()
    server.call("FF")
    assert [server.probe_when_due(answered=False) for _ in range(5)] == [100, 200, 400, 700, 700]


def test_server_that_answers_probes_and_fails_calls_is_asked_ever_less_often() -> None:
    """However long after it closed: a sandbox may have one request a minute."""
    server = Server()
    for _ in range(5):
        server.call("FF")
        server.probe_when_due(answered=True)
        server.now_ms += 60_000
    assert server.pauses == [100, 200, 400, 700, 700]


def test_after_ten_calls_without_opening_the_next_pause_is_the_shortest_again() -> None:
    server = Server()
    for results in ("FF", "F" + "s" * 8 + "F", "s" * 10 + "FF"):
        server.call(results)
        server.probe_when_due(answered=True)
    assert server.pauses == [100, 200, 100]


def test_failed_probe_that_another_breaker_asked_for_changes_nothing() -> None:
    server = Server()
    server.call("FF")
    server.breaker.probed(answered=False)
    assert server.probe_when_due(answered=True) == RULES.pause_ms
    server.breaker.probed(answered=False)
    assert (server.breaker.is_open, server.pauses) == (False, [100])


def test_results_that_arrive_while_it_is_open_are_ignored() -> None:
    server = Server()
    server.call("FF" + "F" * 5 + "s" * 10)
    assert server.pauses == [100]
    server.probe_when_due(answered=True)
    server.call("F")
    assert not server.breaker.is_open


@pytest.mark.parametrize(("chance", "pause_ms"), [(0.0, 100), (0.5, 75), (0.99, 51)])
def test_jitter_only_shortens_and_at_most_by_half(chance: float, pause_ms: int) -> None:
    server = Server(chance)
    server.call("FF")
    assert server.probe_when_due(answered=True) == pause_ms
    assert server.pauses == [pause_ms]


@given(st.lists(st.tuples(st.sampled_from(["record", "probed"]), st.booleans(), st.integers(0, 1_000)), max_size=60))
def test_any_history_leaves_a_breaker_that_a_probe_can_close_and_two_failures_can_open(history: Any) -> None:
    server = Server()
    for kind, flag, ms in history:
        server.now_ms += ms
        server.call("F" if flag else "s") if kind == "record" else server.breaker.probed(answered=flag)
    assert all(later <= 2 * earlier for earlier, later in pairwise(server.pauses))
    server.breaker.probed(answered=True)
    assert not server.breaker.is_open
    server.call("FF")
    assert server.probe_when_due(answered=True) <= RULES.pause_at_most_ms

"""The model of hits, against its known cases and against a simulation of calls and writes."""

from __future__ import annotations

import math
from random import Random

import pytest

from local.advice.hit_ratio import TTLS, answer_life, chosen_ttl, hit_ratio


def test_without_writes_an_answer_lives_for_its_ttl() -> None:
    assert answer_life(60, 0) == 60
    assert hit_ratio(calls=1, ttl=60, writes=0) == pytest.approx(60 / 61)  # one miss, then 60 hits


def test_very_rare_writes_are_no_different_from_none() -> None:
    assert answer_life(60, 1e-18) == pytest.approx(60)


def test_with_a_long_ttl_only_writes_end_an_answer() -> None:
    assert answer_life(1e9, 0.25) == pytest.approx(4)
    assert hit_ratio(calls=1, ttl=1e9, writes=1) == pytest.approx(0.5)  # every second event is a write


def test_mean_life_with_both() -> None:
    assert answer_life(10, 0.1) == pytest.approx(10 * (1 - math.exp(-1)))


@pytest.mark.parametrize(("calls", "ttl", "writes"), [(0.5, 10, 0.05), (2, 3, 0.4), (0.02, 60, 0.01), (5, 1, 3)])
def test_simulated_cache_has_the_ratio(calls: float, ttl: float, writes: float) -> None:
    rng = Random(7)  # noqa: S311
    now, hits, until = 0.0, 0, 0.0
    number = 60_000
    for _ in range(number):
        now += rng.expovariate(calls)
        if now < until:
            hits += 1
        else:
            until = now + min(ttl, rng.expovariate(writes))
    assert hits / number == pytest.approx(hit_ratio(calls, ttl, writes), abs=0.012)


def test_ttl_is_no_longer_than_it_pays() -> None:
    assert chosen_ttl(calls=10, writes=0) == TTLS[0]  # 600 hits for each miss: more would hardly save anything
    assert chosen_ttl(calls=1, writes=1) == TTLS[0]  # writes end an answer long before
    assert chosen_ttl(calls=1 / 600, writes=0) == TTLS[-1]  # asked every ten minutes

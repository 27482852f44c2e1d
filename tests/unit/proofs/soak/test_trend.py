"""A slow leak is found under noise, and noise alone, however slow, is rarely taken for a leak."""

from __future__ import annotations

import math
from random import Random

import pytest

from proofs.soak.trend import trend

SECONDS = [5.0 * number for number in range(600)]


def noise(chance: Random, memory: float) -> list[float]:
    """Return values around 100. `memory`: the share of its deviation that a value passes on to the next one."""
    values, deviation = [], 0.0
    for _ in SECONDS:
        deviation = memory * deviation + chance.gauss(0, 1)
        values.append(100 + deviation)
    return values


def test_constant_is_flat() -> None:
    found = trend(SECONDS, [40.0] * len(SECONDS))
    assert found == (40, 0, 0, 0, (0, 0))
    assert not found.grows


@pytest.mark.parametrize("memory", [0.0, 0.9])
def test_noise_is_seldom_taken_for_growth(memory: float) -> None:
    chance = Random(1)  # noqa: S311
    grow = sum(trend(SECONDS, noise(chance, memory)).grows for _ in range(400))
    # 40 series are judged in one run, so one of 400 is expected in ten runs.
    assert grow <= 2


def test_interval_holds_the_slope_as_often_as_it_says() -> None:
    """Least squares over the samples, as if they were independent, would miss it in most runs."""
    chance, slope = Random(2), 3.0  # noqa: S311
    missed = 0
    for _ in range(400):
        values = [value + slope * at / 3600 for at, value in zip(SECONDS, noise(chance, 0.9), strict=True)]
        found = trend(SECONDS, values)
        missed += not found.low <= slope <= found.high
    assert missed <= 4


def test_leak_of_a_few_percent_an_hour_is_found_under_noise() -> None:
    chance = Random(3)  # noqa: S311
    values = [value + 5 * at / 3600 for at, value in zip(SECONDS, noise(chance, 0.5), strict=True)]
    assert trend(SECONDS, values).grows


def test_certain_growth_below_a_hundredth_of_the_level_is_flat() -> None:
    found = trend(SECONDS, [100 + 0.9 * at / 3600 for at in SECONDS])
    assert found.low > 0
    assert not found.grows


@pytest.mark.parametrize("at_s", [500, 1_500, 2_500])
def test_connection_that_is_opened_late_is_a_step(at_s: int) -> None:
    assert not trend(SECONDS, [30 + (at > at_s) for at in SECONDS]).grows


def test_buffer_that_reaches_its_size_is_no_leak() -> None:
    assert not trend(SECONDS, [100 - 20 * math.exp(-at / 400) for at in SECONDS]).grows


def test_saw_tooth_that_returns_is_flat() -> None:
    assert not trend(SECONDS, [100 + at % 60 for at in SECONDS]).grows


def test_descriptor_that_leaks_every_ten_minutes_is_found() -> None:
    assert trend(SECONDS, [30 + at // 600 for at in SECONDS]).grows

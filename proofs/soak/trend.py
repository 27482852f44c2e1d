"""The trend of a series, with an interval that allows for autocorrelation.

Samples that follow each other are alike, so they tell less than as many independent ones would. The series is cut into
twelve blocks of as many samples each. Their means are nearly independent if a block is longer than what connects the
samples: in an hour it has four minutes, and the longest cycle here, from one sweep to the next, has one. The slope is
that of the least squares through the means, and its interval comes from Student's t. See "batch means" in Schmeiser,
"Batch Size Effects in the Analysis of Simulation Output" (Operations Research 30, 1982), who recommends 10 to 30.

Up to forty series are judged in one run. So that a run without a leak is found flat in at least 95 of 100 cases, each
interval has the level 1 − 0.05 / 40 (Bonferroni).

A leak goes on. A connection that is opened late, or a buffer that reaches its size, is a step: it does not show in both
halves of the series. So growth counts only if each half has a good part of it. A leak that begins after half of the
time is not found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, linear_regression
from typing import Final, NamedTuple

__all__ = ["BLOCKS", "FLAT_SHARE", "Trend", "trend"]

BLOCKS: Final = 12
_T: Final = 4.45  # the quantile 1 − 0.05 / 80 of Student's t with ten degrees of freedom
FLAT_SHARE: Final = 0.01  # of the level, in an hour
_PART_OF_A_HALF: Final = 0.25


class Trend(NamedTuple):
    """The mean of a series, and its slope an hour: estimated, between which bounds it is, and that of each half."""

    level: float
    slope: float
    low: float
    high: float
    halves: tuple[float, float]

    @property
    def rises(self) -> bool:
        """Return whether it is higher at the end for certain, by more in an hour than a small share of its level."""
        return self.low > 0 and self.high > FLAT_SHARE * self.level

    @property
    def grows(self) -> bool:
        """Return whether it rises, and in both halves."""
        return self.rises and min(self.halves) > _PART_OF_A_HALF * self.slope


def trend(seconds: Sequence[float], values: Sequence[float]) -> Trend:
    """Return the trend of `values`, which were taken at `seconds`. Needs a sample for each block."""
    ends = [len(seconds) * block // BLOCKS for block in range(BLOCKS + 1)]
    hours, means = ([fmean(each[begin:end]) for begin, end in pairwise(ends)] for each in (seconds, values))
    hours = [second / 3600 for second in hours]
    slope, at_zero = linear_regression(hours, means)
    level, middle = fmean(means), fmean(hours)
    errors = [mean - at_zero - slope * hour for hour, mean in zip(hours, means, strict=True)]
    spread = sum((hour - middle) ** 2 for hour in hours)
    margin = _T * math.sqrt(sum(error**2 for error in errors) / (BLOCKS - 2) / spread)
    half = BLOCKS // 2
    halves = tuple(linear_regression(hours[part], means[part]).slope for part in (slice(half), slice(half, None)))
    return Trend(level, slope, slope - margin, slope + margin, (halves[0], halves[1]))

"""Times that a busy machine disturbs least: small blocks of calls in turn, and ratios of neighbours.

A round runs one block of each contender, in random order. What disturbs the machine for longer than a round disturbs
all contenders alike, and cancels out in the ratio of two blocks of that round.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Block", "Spread", "interleaved", "percentile", "spread", "spread_of_ratios", "timed"]

_LOW, _HIGH = 0.05, 0.95


@dataclass(frozen=True, slots=True)
class Block:
    """Some calls in a row: the CPU time of this process for each call on average, and the wall time of each call."""

    cpu_us: float
    wall_us: Sequence[float]

    @property
    def p50_us(self) -> float:
        return percentile(self.wall_us, 0.5)


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values, and the limits between which nine tenths of them are."""

    median: float
    low: float
    high: float


RunBlock = Callable[[int], Block]


def timed(call: Callable[[], object]) -> RunBlock:
    """Return a function that runs a block of so many calls."""

    def run(calls: int) -> Block:
        wall_us = []
        cpu_ns = time.process_time_ns()
        for _ in range(calls):
            began = time.perf_counter_ns()
            call()
            wall_us.append((time.perf_counter_ns() - began) / 1000)
        return Block((time.process_time_ns() - cpu_ns) / 1000 / calls, wall_us)

    return run


def interleaved(
    contenders: Mapping[str, RunBlock], rounds: int, calls: int, progress: Callable[[int, int], None]
) -> dict[str, list[Block]]:
    """Return the blocks of each contender, one for each round. `progress` is told the round, of how many."""
    blocks: dict[str, list[Block]] = {name: [] for name in contenders}
    for run in contenders.values():
        run(calls)  # connections, caches and specialized bytecode
    for number in range(rounds):
        for name in random.sample(list(contenders), len(contenders)):
            blocks[name].append(contenders[name](calls))
        progress(number + 1, rounds)
    return blocks


def spread(values: Sequence[float]) -> Spread:
    """Return the spread of `values`."""
    return Spread(statistics.median(values), percentile(values, _LOW), percentile(values, _HIGH))


def spread_of_ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Return the spread of the ratios of values of the same round."""
    return spread([one / other for one, other in zip(ours, theirs, strict=True)])


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest of `values` that at least `share` of them do not exceed."""
    return sorted(values)[max(-int(-share * len(values) // 1) - 1, 0)]

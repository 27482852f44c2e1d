"""The schedule of a campaign, drawn from its seed and from nothing else: the same seed gives the same schedule.

Every fault comes once, in random order, before any comes again. What takes time depends on the stack, so the schedule
has an order, pauses and the seeds of the faults' own choices, and no times of the clock.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Drawn", "schedule"]

_OVERLAPS: Final = 0.2
_HEALTHY_S: Final = (0.5, 2.5)  # before a fault, besides the time of the recovery
_LATER_S: Final = (0.1, 1.5)  # when the second of two faults begins


@dataclass(frozen=True, slots=True)
class Drawn:
    """One fault, or two that overlap: the second begins `later_s` after the first. Each has a seed of its own."""

    healthy_s: float
    faults: tuple[str, ...]
    seeds: tuple[int, ...]
    later_s: float


def schedule(seed: int, cache: str, groups: Mapping[str, str]) -> Iterator[Drawn]:
    """Yield what to inject, without end. `groups` has the group of each fault; two of one group never overlap."""
    rng = random.Random(f"{seed} {cache}")
    for name in _names(rng, list(groups)):
        others = [other for other in groups if groups[other] != groups[name]]
        overlaps = rng.random() < _OVERLAPS and bool(others)
        faults = (name, rng.choice(others)) if overlaps else (name,)
        seeds = tuple(rng.getrandbits(32) for _ in faults)
        yield Drawn(rng.uniform(*_HEALTHY_S), faults, seeds, rng.uniform(*_LATER_S))


def _names(rng: random.Random, names: Sequence[str]) -> Iterator[str]:
    while names:
        yield from rng.sample(names, len(names))

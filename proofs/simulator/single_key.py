"""One key under many reads: how often it is loaded, at any rate, without simulating the reads that only hit.

Nothing about a key depends on another one while the database has room. So the loads of a fleet are the sum of those of
its keys. Reads are a Poisson process, which has no memory: those that come while the answer is fresh can be left out.
What is left is a short window around each expiry, at the full rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean, stdev

from proofs.simulator.store import StoreOptions
from proofs.simulator.strategies import Strategy, questions
from proofs.simulator.world import World

__all__ = ["WORK_MS", "Expiries", "expire"]

WORK_MS = 200.0

# No read is left out where more than one in e^5 expiries would have had an early refresh.
_MARGIN = 5.0
_LATENCY_MS = StoreOptions().latency_ms


@dataclass(frozen=True, slots=True)
class Expiries:
    """`loads` has the number of loads of each expiry; `seconds` is the time from the first of them to the last."""

    loads: list[int]
    seconds: float

    @property
    def mean(self) -> float:
        return fmean(self.loads)

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return stdev(self.loads) / math.sqrt(len(self.loads))

    @property
    def loads_per_s(self) -> float:
        return sum(self.loads) / self.seconds


def expire(strategy: Strategy, reads_per_s: float, expiries: int, seed: int, *, instant: bool = False) -> Expiries:
    """Let the answer to one question expire that often. Loads that begin within one load time are of one expiry.

    There is no jitter, and the shard has room for any rate. `instant`: the cache takes no time, as the theory assumes.
    """
    store = StoreOptions(command_ms=0, answer_ms=0, latency_ms=0 if instant else _LATENCY_MS)
    world = World(strategy, seed, work_ms=WORK_MS, store=store)
    # With jitter, no read could be left out in the last part of the ttl.
    policy = strategy.policy._replace(jitter=0.0)
    world.questions = questions(policy, 1)
    database = world.database
    beta_ms = policy.early_refresh * WORK_MS
    head_start_ms = beta_ms * (math.log(max(1.0, reads_per_s * beta_ms / 1000)) + _MARGIN)
    fresh_ms = policy.ttl_ms - head_start_ms

    def hits_until_ms() -> float:
        return database.starts_ms[-1] + fresh_ms if database.starts_ms and not database.running else 0.0

    world.read([1.0], reads_per_s, hits_until_ms=hits_until_ms)
    starts_ms: list[float] = []
    while len(starts_ms) < expiries + 2:
        world.loop.run(world.loop.now_ms + (policy.ttl_ms + 1000 / reads_per_s) * max(1, expiries // 4))
        starts_ms = _first_of_each(database.starts_ms)
    # The first one is no expiry: the cache was empty. The last one may not be over.
    starts_ms = starts_ms[1 : expiries + 2]
    loads = [0] * expiries
    expiry = 0
    for start_ms in database.starts_ms:
        if starts_ms[0] <= start_ms < starts_ms[-1]:
            expiry += start_ms >= starts_ms[expiry + 1]
            loads[expiry] += 1
    return Expiries(loads, (starts_ms[-1] - starts_ms[0]) / 1000)


def _first_of_each(all_starts_ms: list[float]) -> list[float]:
    first: list[float] = []
    for start_ms in all_starts_ms:
        if not first or start_ms > first[-1] + WORK_MS + 2 * _LATENCY_MS:
            first.append(start_ms)
    return first

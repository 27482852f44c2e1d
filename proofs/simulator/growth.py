"""Growth: what 100,000 keys cost at 10 to 1,000,000 reads a second, with reads by Zipf's law.

The loads of one key are simulated at rates from one read a day to 100,000 a second, and interpolated
between them. Their sum over all keys is the load of the database. It has room for all loads here, so for the strategies
that let each reader load, the true figures are higher. The rest is arithmetic.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from proofs.simulator.fleet import CPU_MS_PER_READ
from proofs.simulator.single_key import WORK_MS, expire
from proofs.simulator.store import StoreOptions, shard_of
from proofs.simulator.strategies import FULL, STRATEGIES, Strategy, questions
from proofs.simulator.world import World, zipf

__all__ = [
    "GROWN",
    "RATES",
    "READS_PER_S",
    "Curve",
    "Demand",
    "Scaling",
    "busiest",
    "demand",
    "loads_per_s",
    "scaling",
    "simulate_rate",
]

READS_PER_S: Final = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
RATES: Final = tuple(10 ** (half / 2) for half in range(-10, 11))  # of one key
KEYS: Final = 100_000
GROWN: Final = {**STRATEGIES, "the same, ttl = 10 min": FULL.with_ttl(600_000)}

_WINDOW_S: Final = 1.5  # in which readers of one expiry are simulated
_ANSWER_BYTES: Final = 2_000
_HOT_KEYS: Final = 10_000  # placed on their shards one by one; the rest is spread evenly
_RANKS_APART: Final = 0.01  # keys whose ranks differ by less than 1 % have one rate
_LOCAL_S: Final = 1.0
_LOCAL_ENTRIES: Final = 100  # a sandbox keeps no more, which are about the hottest

Curve = Sequence[float]  # the loads a second of one key, at each of RATES


def simulate_rate(strategy: Strategy, reads_per_s: float, reads: float, seed: int = 1) -> float:
    """Return the loads a second of one key that is read that often. About as many `reads` are simulated."""
    expiries = int(reads / (reads_per_s * _WINDOW_S + 1))
    return expire(strategy, reads_per_s, min(max(expiries, 1), 1_000), seed).loads_per_s


def loads_per_s(curve: Curve, reads_per_s: float, keys: int = KEYS) -> float:
    """Return the loads a second of all keys."""
    return _sum_over_keys(lambda rate: _interpolated(curve, rate), reads_per_s, keys)


def _sum_over_keys(of_key: Callable[[float], float], reads_per_s: float, keys: int) -> float:
    """Return the sum of a quantity of each key that depends on its rate, `reads_per_s` times its Zipf share."""
    total = sum(1 / rank for rank in range(1, keys + 1))
    result, rank = 0.0, 1
    while rank <= keys:
        following = min(keys + 1, max(rank + 1, int(rank * (1 + _RANKS_APART))))
        middle = (rank + following - 1) / 2
        result += (following - rank) * of_key(reads_per_s / middle / total)
        rank = following
    return result


def _interpolated(curve: Curve, rate: float) -> float:
    """Return the value at `rate`, on a line between two points with logarithmic axes. Below all, each read loads."""
    if rate < RATES[0]:
        return rate
    right = min(max(bisect_right(RATES, rate), 1), len(RATES) - 1)
    (x0, y0), (x1, y1) = ((math.log(RATES[at]), math.log(curve[at])) for at in (right - 1, right))
    return math.exp(y0 + (y1 - y0) * (math.log(rate) - x0) / (x1 - x0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What reads with the full strategy need. Looks are commands of reads, on the thread of one shard."""

    loads_per_s: float
    commands_per_s: float
    hottest_key_per_s: float
    megabits_per_s: float
    busiest_shard: dict[int, float]  # commands a second, by the number of shards
    busy_sandboxes: float
    local_commands_per_s: tuple[float, float]  # with local = "1s": if reads meet in few sandboxes, if spread over many


def demand(curve: Curve, reads_per_s: float, shards: Sequence[int]) -> Demand:
    """Return what that many reads a second need, also with each of these numbers of shards."""
    loads = loads_per_s(curve, reads_per_s)
    store = StoreOptions()
    look_ms = 2 * store.latency_ms + store.command_ms + store.answer_ms
    busy = (reads_per_s * (CPU_MS_PER_READ + look_ms) + loads * WORK_MS) / 1000
    # By Lambda's quota, a sandbox counts as serving at most ten requests a second.
    many = max(busy, reads_per_s / 10)
    shares = zipf(KEYS)[:_HOT_KEYS]
    return Demand(
        loads_per_s=loads,
        commands_per_s=reads_per_s + 3 * loads,
        hottest_key_per_s=reads_per_s * shares[0],
        megabits_per_s=reads_per_s * _ANSWER_BYTES * 8 / 1e6,
        busiest_shard={number: busiest(shares, number) * reads_per_s for number in shards},
        busy_sandboxes=busy,
        local_commands_per_s=(_looks_with_local(reads_per_s, busy), _looks_with_local(reads_per_s, many)),
    )


def busiest(shares: Sequence[float], shards: int) -> float:
    """Return the commands on the busiest shard for each read.

    A node reads entry and tags with one command. In a cluster each tag is a command of its own. A row has its own tag,
    and that of all rows of its table, which all reads have in common.
    """
    if shards == 1:
        return 1.0
    by_shard = [2 * (1 - sum(shares)) / shards] * shards
    asked = questions(FULL.policy, len(shares))
    table_tag = {*asked[0].keys.tags}.intersection(asked[1].keys.tags).pop()
    by_shard[shard_of(table_tag, shards)] += 1
    for share, question in zip(shares, asked, strict=True):
        for key in {question.keys.entry, *question.keys.tags} - {table_tag}:
            by_shard[shard_of(key, shards)] += share
    return max(by_shard)


def _looks_with_local(reads_per_s: float, sandboxes: float) -> float:
    """Return the looks a second if each sandbox takes its share of all reads, and keeps some answers for a second."""
    kept = [reads_per_s * share for share in zipf(KEYS)[:_LOCAL_ENTRIES]]
    return reads_per_s - sum(kept) + sum(rate / (1 + rate / sandboxes * _LOCAL_S) for rate in kept)


@dataclass(frozen=True, slots=True)
class Scaling:
    """The same keys three times, in loads a second: in a whole fleet, in a fleet of a tenth of the keys, and summed."""

    whole: float
    tenth: float
    summed: float


def scaling(strategy_name: str, curve: Curve, reads_per_s: float = 2_000, keys: int = 2_000, seed: int = 1) -> Scaling:
    """Show that a part of the fleet, or single keys, tell about the whole: for every tenth key."""
    strategy, shares = STRATEGIES[strategy_name], zipf(keys)
    tenth = list(range(5, keys, 10))
    measured: list[float] = []
    for chosen in (list(range(keys)), tenth):
        world = World(strategy, seed, work_ms=WORK_MS)
        all_questions = questions(strategy.policy, keys)
        world.questions = [all_questions[number] for number in chosen]
        # Answers that were filled at random times do not expire together, and so any time tells the average.
        ttl_ms = strategy.policy.ttl_ms
        for question in world.questions:
            world.loop.at(world.random.uniform(0, ttl_ms), world.fleet.ask, question)
        world.loop.run(ttl_ms)
        share = sum(shares[number] for number in chosen)
        world.read([shares[number] for number in chosen], reads_per_s * share)
        before = Counter(world.database.loads)
        world.loop.run(3 * ttl_ms)
        after = world.database.loads
        measured.append(sum(after[number] - before[number] for number in tenth) / (2 * ttl_ms / 1000))
    summed = sum(_interpolated(curve, reads_per_s * shares[number]) for number in tenth)
    return Scaling(measured[0], measured[1], summed)

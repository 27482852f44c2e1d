"""What is known from papers, with the setting in which it holds.

XFetch      Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015. Reads are
            dense: many in the time of one load. Then the early refreshes form a Poisson process whose rate grows by
            e^(1/β) in the time of a load. So there are e^(1/β) loads for each expiry, without a lease.
memcache    Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013, §3.2.1. For a set of keys that are prone to
            thundering herds, the peak rate of queries was 17,000 a second, and 1,300 with leases, which the cache gives
            out once in 10 s for each key. The paper does not tell the rest of the setting. Ours: each of 13,000 keys is
            invalidated every 5 s, and 6 readers ask for it in the time of a load. 130 of these keys are simulated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from cacheaside.catalogue.policy import Policy
from cacheaside.reading.read_path import read
from proofs.simulator.single_key import Expiries, expire
from proofs.simulator.strategies import LEASE, NAIVE, Strategy, lease_once_per_10_s, questions, xfetch_without_lease
from proofs.simulator.world import World

__all__ = ["HERDS", "Herd", "recomputations", "refilled_per_s"]

_DENSE_READS_PER_S: Final = 500  # 100 in the time of a load
_TTL_MS: Final = 30_000
_STEADY_AFTER_MS: Final = 10_000


def recomputations(beta: float, expiries: int, *, with_lease: bool, seed: int = 1) -> Expiries:
    """Return the loads of each expiry with early refresh, with or without the lease."""
    policy = Policy(ttl_ms=_TTL_MS, early_refresh=beta)
    path = read if with_lease else xfetch_without_lease
    return expire(
        Strategy("early refresh", path, policy, is_ours=with_lease), _DENSE_READS_PER_S, expiries, seed, instant=True
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Herd:
    """Keys that are read and invalidated all the time. With `scale` times as many keys there are as many more loads."""

    keys: int = 130
    scale: int = 100
    reads_of_a_key_per_s: float = 24.0
    work_ms: float = 250.0
    invalidated_every_s: float = 5.0


HERDS: Final = {
    "without leases (paper: 17,000)": NAIVE,
    "a lease once in 10 s (paper: 1,300)": Strategy("once in 10 s", lease_once_per_10_s, Policy(ttl_ms=3_600_000)),
    "our lease": LEASE,
}


def refilled_per_s(strategy: Strategy, herd: Herd, seconds: int, seed: int = 1) -> float:
    """Return the loads a second of all keys, in a steady state."""
    strategy = replace(strategy, policy=strategy.policy._replace(ttl_ms=3_600_000))
    world = World(strategy, seed, work_ms=herd.work_ms)
    world.questions = questions(strategy.policy, herd.keys)
    world.read([1 / herd.keys] * herd.keys, herd.keys * herd.reads_of_a_key_per_s)
    _write(world, herd.keys / herd.invalidated_every_s)
    world.loop.run(_STEADY_AFTER_MS)
    before = len(world.database.starts_ms)
    world.loop.run(_STEADY_AFTER_MS + seconds * 1000)
    return (len(world.database.starts_ms) - before) / seconds * herd.scale


def _write(world: World, writes_per_s: float) -> None:
    """Let writers come as a Poisson process, each to a row at random."""

    def write(_: object) -> None:
        world.fleet.write(world.random.choice(world.questions))
        plan()

    def plan() -> None:
        world.loop.after(world.random.expovariate(writes_per_s) * 1000, write)

    plan()

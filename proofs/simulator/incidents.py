"""Incidents: a fleet in its steady state, to which something happens, with each strategy.

expiry     the answers of the hottest keys were stored at the same moment, and expire together
writes     the rows of the hottest keys are written five times a second each, for ten seconds
failover   the cache does not answer for ten seconds, and is empty then
deploy     all sandboxes are replaced, and the SQL has changed, so that no answer is in the cache
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from proofs.simulator.fleet import CPU_MS_PER_READ, FleetOptions, Result
from proofs.simulator.strategies import STRATEGIES, questions
from proofs.simulator.world import World, zipf

__all__ = ["INCIDENTS", "Setting", "Timeline", "simulate"]

INCIDENTS: Final = ("expiry", "writes", "failover", "deploy")

_WRITE_EVERY_MS: Final = 200
_LASTS_MS: Final = 10_000
_BAD_MS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A database with eight cores, a load that needs 200 ms of one, and the default quota of Lambda."""

    reads_per_s: float = 2_000
    keys: int = 300
    hot_keys: int = 20
    work_ms: float = 200
    cores: float = 8
    sandboxes_at_most: float = 1_000
    cold_start_ms: float = 600
    before_s: int = 5
    after_s: int = 45


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """By second; the incident happens at the beginning of second 0. Shares are of all requests from then on."""

    seconds: list[int]
    loads: list[int]
    p99_ms: list[float]
    failed: float
    outdated: float
    sandboxes: int

    @property
    def recovered_s(self) -> int | None:
        """The second from which on the p99 is below a second, None if that does not happen."""
        bad = [second for second, p99_ms in zip(self.seconds, self.p99_ms, strict=True) if p99_ms >= _BAD_MS]
        last = max([second for second in bad if second >= 0], default=-1)
        return last + 1 if last < self.seconds[-1] else None


def simulate(incident: str, strategy_name: str, setting: Setting, seed: int = 1) -> Timeline:
    """Return what happened, second by second."""
    strategy = STRATEGIES[strategy_name]
    world = World(
        strategy,
        seed,
        work_ms=setting.work_ms,
        cores=setting.cores,
        fleet=FleetOptions(
            sandboxes_at_most=setting.sandboxes_at_most,
            cold_start_ms=setting.cold_start_ms,
            cpu_ms=CPU_MS_PER_READ,
        ),
    )
    world.questions = questions(strategy.policy, setting.keys)
    incident_ms = _warm_up(world, setting, together=incident == "expiry", ttl_ms=strategy.policy.ttl_ms)
    world.loop.run(incident_ms - setting.before_s * 1000)
    world.read(zipf(setting.keys), setting.reads_per_s, until_ms=incident_ms + setting.after_s * 1000)
    world.loop.run(incident_ms)
    _begin(world, incident, setting)
    world.loop.run()
    return _timeline(world, int(incident_ms) // 1000, setting)


def _warm_up(world: World, setting: Setting, *, together: bool, ttl_ms: int) -> float:
    """Ask each question once, at a random time within one ttl. Returns the time of the incident.

    The steady state begins there: each answer is in the cache, and has some age.
    """
    incident_ms = ttl_ms + setting.before_s * 1000.0
    for number, question in enumerate(world.questions):
        is_hot = together and number < setting.hot_keys
        asked_ms = incident_ms - ttl_ms if is_hot else world.random.uniform(0, ttl_ms)
        world.loop.at(asked_ms, world.fleet.ask, question)
    return incident_ms


def _begin(world: World, incident: str, setting: Setting) -> None:
    loop, fleet, store = world.loop, world.fleet, world.store
    if incident == "writes":
        for question in world.questions[: setting.hot_keys]:
            first_ms = world.random.uniform(0, _WRITE_EVERY_MS)
            for number in range(_LASTS_MS // _WRITE_EVERY_MS):
                at_ms = loop.now_ms + first_ms + number * _WRITE_EVERY_MS
                loop.at(at_ms, fleet.write, question)
    elif incident == "failover":
        store.is_down = True
        loop.after(_LASTS_MS, lambda _: store.replace())
    elif incident == "deploy":
        world.questions = questions(fleet.strategy.policy, setting.keys, sql="select 2")
        fleet.replace_all()


def _timeline(world: World, zero: int, setting: Setting) -> Timeline:
    seconds = range(-setting.before_s, setting.after_s)
    loads = Counter(int(start_ms // 1000) - zero for start_ms in world.database.starts_ms)
    after = range(zero, zero + setting.after_s)
    return Timeline(
        seconds=list(seconds),
        loads=[loads[second] for second in seconds],
        p99_ms=[world.record.p99_ms([zero + second]) for second in seconds],
        failed=world.record.share(Result.FAILED, after),
        outdated=world.record.share(Result.OUTDATED, after),
        sandboxes=world.fleet.sandboxes,
    )

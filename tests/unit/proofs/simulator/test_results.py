"""What the simulator says: known results of papers, the same for the same seed, and no dependence on its shortcuts."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from proofs.simulator.growth import RATES, busiest, demand, loads_per_s, scaling, simulate_rate
from proofs.simulator.incidents import Setting, simulate
from proofs.simulator.known_results import HERDS, Herd, recomputations, refilled_per_s
from proofs.simulator.store import StoreOptions
from proofs.simulator.strategies import FULL, LEASE, STRATEGIES, questions
from proofs.simulator.world import World, zipf

SMALL = Setting(reads_per_s=100, keys=20, hot_keys=4, work_ms=100, cores=1, sandboxes_at_most=60, after_s=14)


@pytest.mark.parametrize(("beta", "tolerance"), [(0.5, 2.0), (1.0, 0.6)])
def test_early_refresh_without_a_lease_loads_e_to_the_1_over_beta_times(beta: float, tolerance: float) -> None:
    assert recomputations(beta, 40, with_lease=False).mean == pytest.approx(math.exp(1 / beta), abs=tolerance)


def test_early_refresh_with_the_lease_loads_once() -> None:
    assert set(recomputations(1.0, 10, with_lease=True).loads) == {1}


def test_leases_bring_the_herds_of_the_memcache_paper_down() -> None:
    herd = Herd(keys=26, scale=500, reads_of_a_key_per_s=12, work_ms=500)
    naive, once_in_10_s, ours = (refilled_per_s(strategy, herd, seconds=10) for strategy in HERDS.values())
    assert 14_000 < naive < 20_000
    assert 1_000 < once_in_10_s <= 1_300 * 1.1
    assert once_in_10_s < ours <= 13_000 / herd.invalidated_every_s * 1.25  # one load for each invalidation


def test_the_same_seed_gives_the_same_incident() -> None:
    runs = [simulate("expiry", FULL.name, SMALL, seed) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_hot_answers_that_expire_together_are_loaded_by_each_reader_or_once() -> None:
    loads = {name: sum(simulate("expiry", name, SMALL).loads) for name in STRATEGIES}
    assert loads["naive"] > 1.5 * loads["lease"]
    assert loads["lease"] <= SMALL.keys


def test_no_lease_answers_older_than_an_acknowledged_write_and_a_lock_does() -> None:
    outdated = {name: simulate("writes", name, SMALL).outdated for name in ("lock", "lease", FULL.name)}
    assert outdated["lock"] > 0
    assert (outdated["lease"], outdated[FULL.name]) == (0, 0)


def test_a_failover_ends_for_leases() -> None:
    timeline = simulate("failover", "lease", replace(SMALL, after_s=30))
    assert timeline.recovered_s is not None
    assert max(timeline.loads) < SMALL.sandboxes_at_most


def test_a_deploy_loads_each_answer_about_once() -> None:
    timeline = simulate("deploy", "lease", SMALL)
    assert sum(timeline.loads[timeline.seconds.index(0) :]) <= 1.5 * SMALL.keys


@pytest.mark.parametrize("reads_per_s", [0.01, 1.0, 100.0])
def test_a_key_is_loaded_as_often_as_theory_says(reads_per_s: float) -> None:
    """A cycle is the ttl and the time until the next read; in naive caching, also the load that all readers do."""
    ttl_s, load_s = 60, 0.2
    leased, naive = (simulate_rate(STRATEGIES[name], reads_per_s, reads=8_000) for name in ("lease", "naive"))
    assert leased == pytest.approx(1 / (ttl_s + 1 / reads_per_s), rel=0.15)
    assert naive == pytest.approx((1 + reads_per_s * load_s) / (ttl_s + load_s + 1 / reads_per_s), rel=0.15)


def test_a_fleet_a_tenth_of_it_and_single_keys_say_the_same() -> None:
    curve = [rate / (1 + 60 * rate) for rate in RATES]
    measured = scaling("lease", curve, reads_per_s=30, keys=400)
    assert measured.tenth == pytest.approx(measured.whole, rel=0.1)
    assert measured.summed == pytest.approx(measured.whole, rel=0.1)


@pytest.mark.parametrize("shards", [1, 3, 8])
def test_the_busiest_shard_of_a_simulated_cluster_is_the_computed_one(shards: int) -> None:
    shares = zipf(50)
    world = World(LEASE, 1, work_ms=1, store=StoreOptions(shards=shards))
    world.questions = questions(LEASE.policy, len(shares))
    world.read(shares, reads_per_s=1_000, until_ms=5_000)
    world.loop.run()
    assert max(world.store.served.values()) / 5_000 == pytest.approx(busiest(shares, shards), rel=0.1)


def test_the_tag_that_all_reads_share_stays_on_one_shard_however_many_there_are() -> None:
    curve = [rate / (1 + 60 * rate) for rate in RATES]
    assert loads_per_s(curve, 1_000_000) < 1_000_000 / 60
    needed = demand(curve, 1_000_000, (1, 3, 90))
    assert needed.busiest_shard[1] == pytest.approx(1_000_000)
    assert needed.busiest_shard[3] > needed.busiest_shard[90] > 1_000_000
    assert 80_000 < needed.hottest_key_per_s < 90_000
    few, many = needed.local_commands_per_s
    assert few < many < 1_000_000

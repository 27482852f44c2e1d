"""The models of the simulator: the event loop, the cache, the database and Lambda."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from cacheaside.catalogue.policy import FAILURE_MS, LEASE_MS, Policy
from cacheaside.errors import CacheUnavailable, Overloaded, StatementTimeout
from cacheaside.reading import steps
from cacheaside.reading.read_path import read
from proofs.simulator.database import Database
from proofs.simulator.events import Loop
from proofs.simulator.fleet import Fleet, FleetOptions, Result
from proofs.simulator.store import Command, Delete, Get, Put, Store, StoreOptions
from proofs.simulator.strategies import LEASE, NAIVE, Strategy, questions

QUESTION = questions(Policy(ttl_ms=60_000), 1)[0]
KEYS = QUESTION.keys
A, B = b"A" * 16, b"B" * 16


class Cache:
    """A store whose commands are done at once, one after the other."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.store = Store(self.loop, StoreOptions(command_ms=0, answer_ms=0, latency_ms=0))

    def do(self, command: Command) -> Any:
        replies: list[Any] = []
        self.store.send(command, replies.append)
        self.loop.run(self.loop.now_ms)
        return replies[0]

    def acquire(self, token: bytes) -> steps.Acquired:
        acquired = self.do(steps.Acquire(KEYS, token, (token, token), 100_000))
        assert isinstance(acquired, steps.Acquired)
        return acquired

    def wait(self, ms: float) -> None:
        self.loop.run(self.loop.now_ms + ms)


def test_actions_run_in_the_order_of_their_times_and_then_of_their_addition() -> None:
    loop, ran = Loop(), list[tuple[str, float]]()
    loop.at(2, lambda name: ran.append((name, loop.now_ms)), "third")
    loop.at(1, lambda name: ran.append((name, loop.now_ms)), "first")
    loop.at(1, lambda name: ran.append((name, loop.now_ms)), "second")
    loop.at(9, ran.append)
    loop.run(5)
    assert ran == [("first", 1), ("second", 1), ("third", 2)]
    assert loop.now_ms == 5


def test_only_the_holder_stores_and_its_lease_ends_unless_it_renews() -> None:
    cache = Cache()
    assert cache.acquire(A).won
    assert not cache.acquire(B).won
    cache.wait(LEASE_MS - 1)
    assert cache.do(steps.Renew(KEYS, A))
    cache.wait(LEASE_MS - 1)
    assert not cache.acquire(B).won
    cache.wait(1)
    assert cache.acquire(B).won
    assert not cache.do(steps.Store(KEYS, A, b"old", 60_000))
    assert cache.do(steps.Store(KEYS, B, b"new", 60_000))
    assert cache.do(steps.Look(KEYS)) == steps.Looked(b"new", None, (A, A))


def test_a_failure_takes_the_place_of_the_lease_for_a_moment() -> None:
    cache = Cache()
    cache.acquire(A)
    cache.do(steps.Release(KEYS, A, b"a failure"))
    assert cache.do(steps.Look(KEYS)).lease == b"a failure"
    cache.wait(FAILURE_MS)
    assert cache.do(steps.Look(KEYS)).lease is None


def test_plain_values_expire_and_are_written_once_if_missing() -> None:
    cache = Cache()
    assert cache.do(Put("key", b"1", 10, if_missing=True))
    assert not cache.do(Put("key", b"2", 10, if_missing=True))
    assert cache.do(Get("key")) == b"1"
    cache.wait(10)
    assert cache.do(Get("key")) is None
    cache.do(Put("key", b"3", 10))
    cache.do(Delete("key"))
    assert cache.do(Get("key")) is None


def test_commands_queue_on_the_thread_of_their_shard_until_callers_give_up() -> None:
    loop, replies = Loop(), list[tuple[float, Any]]()
    store = Store(loop, StoreOptions(command_ms=80, answer_ms=0, latency_ms=1))
    for _ in range(3):
        store.send(Get("key"), lambda reply: replies.append((loop.now_ms, reply)))
    loop.run()
    assert replies[:2] == [(82, None), (162, None)]
    assert (replies[2][0], type(replies[2][1])) == (200, CacheUnavailable)


def test_a_cache_that_was_replaced_is_empty() -> None:
    cache = Cache()
    cache.do(Put("key", b"1", 1_000_000))
    cache.store.is_down = True
    replies: list[Any] = []
    cache.store.send(Get("key"), replies.append)
    cache.wait(1_000)
    assert isinstance(replies[0], CacheUnavailable)
    cache.store.replace()
    assert cache.do(Get("key")) is None


@pytest.mark.parametrize(("loads", "took_ms"), [(1, 100), (2, 100), (4, 200), (10, 500)])
def test_loads_share_the_cores(loads: int, took_ms: float) -> None:
    loop, ended = Loop(), list[float]()
    database = Database(loop, work_ms=100, cores=2)
    for _ in range(loads):
        database.load(steps.Load(QUESTION, 10_000), lambda _: ended.append(loop.now_ms))
    loop.run()
    assert ended == pytest.approx([took_ms] * loads)


def test_a_load_that_begins_later_slows_down_the_one_before() -> None:
    loop, ended = Loop(), list[float]()
    database = Database(loop, work_ms=100, cores=1)
    for at_ms in (0, 50):
        loop.at(at_ms, lambda _: database.load(steps.Load(QUESTION, 10_000), lambda _: ended.append(loop.now_ms)))
    loop.run()
    assert ended == pytest.approx([150, 200])


def test_a_load_times_out_and_gives_its_share_to_others() -> None:
    loop, results = Loop(), list[tuple[float, type]]()
    database = Database(loop, work_ms=100, cores=1)

    def note(result: Any) -> None:
        results.append((loop.now_ms, type(result)))

    database.load(steps.Load(QUESTION, timeout_ms=50), note)
    database.load(steps.Load(QUESTION, timeout_ms=10_000), note)
    loop.run()
    assert [at_ms for at_ms, _ in results] == pytest.approx([50, 125])
    assert [kind for _, kind in results] == [StatementTimeout, steps.Loaded]
    assert database.running == 0


def test_the_eleventh_load_that_bypasses_the_cache_is_refused() -> None:
    loop, results = Loop(), list[Any]()
    database = Database(loop, work_ms=100, cores=100)
    for _ in range(11):
        database.load(steps.Load(QUESTION, 10_000, bypass=True), results.append)
    loop.run()
    assert [type(result) for result in results].count(Overloaded) == 1


Build = Callable[[Strategy, FleetOptions], tuple[Fleet, list[tuple[float, Result]]]]


@pytest.fixture
def build() -> Build:
    def built(strategy: Strategy, options: FleetOptions) -> tuple[Fleet, list[tuple[float, Result]]]:
        loop, answers = Loop(), list[tuple[float, Result]]()
        store, database = Store(loop, StoreOptions()), Database(loop, work_ms=100, cores=math.inf)
        fleet = Fleet(
            *(loop, store, database, random.Random(1), strategy, options),  # noqa: S311
            on_answer=lambda _arrived_ms, took_ms, result: answers.append((round(took_ms), result)),
        )
        return fleet, answers

    return built


def test_requests_start_sandboxes_up_to_the_limit_and_the_rest_is_throttled(build: Build) -> None:
    fleet, answers = build(NAIVE, FleetOptions(sandboxes_at_most=2, cold_start_ms=500))
    for _ in range(3):
        fleet.ask(QUESTION)
    fleet.loop.run()
    assert answers == [(0, Result.FAILED), (601, Result.ANSWERED), (601, Result.ANSWERED)]
    fleet.ask(QUESTION)
    fleet.loop.run()
    assert answers[3:] == [(1, Result.ANSWERED)]
    fleet.replace_all()
    assert fleet.sandboxes == 0


def test_a_refresh_occupies_its_sandbox_after_the_answer(build: Build) -> None:
    fleet, answers = build(Strategy("stale", read, Policy(ttl_ms=1_000, stale_ms=60_000), is_ours=True), FleetOptions())
    question = questions(fleet.strategy.policy, 1)[0]
    for at_ms in (0, 2_000, 2_050):
        fleet.loop.at(at_ms, fleet.ask, question)
    fleet.loop.run()
    assert [took_ms for took_ms, _ in answers] == [102, 1, 1]
    assert (fleet.sandboxes, len(fleet.database.starts_ms)) == (2, 2)


def test_an_outdated_answer_is_seen(build: Build) -> None:
    """The load of naive caching begins before the write, and stores what it found after it."""
    results = {}
    for strategy in (NAIVE, LEASE):
        fleet, answers = build(strategy, FleetOptions())
        question = questions(strategy.policy, 1)[0]
        fleet.loop.at(0, fleet.ask, question)
        fleet.loop.at(50, fleet.write, question)
        fleet.loop.at(200, fleet.ask, question)
        fleet.loop.run()
        results[strategy.name] = answers[-1][1]
    assert results == {"naive": Result.OUTDATED, "lease": Result.ANSWERED}


def test_breakers_and_postgresql_limit_what_an_outage_costs(build: Build) -> None:
    """Each sandbox waits twice for the cache in vain. Then its breaker is open, and loads bypass the cache at once."""
    fleet, answers = build(LEASE, FleetOptions())
    fleet.store.is_down = True
    for at_ms in (0, 1_000, 1_400, 1_450):
        fleet.loop.at(at_ms, fleet.ask, QUESTION)
    fleet.loop.run()
    assert [took_ms for took_ms, _ in answers[:2]] == [300, 300]
    assert sorted(took_ms for took_ms, _ in answers[2:])[0] < 200

"""What callers get, for each fault of either server and each state that the entry can be in."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final, NamedTuple

import pytest
import redis

from cacheaside.catalogue.policy import Policy
from cacheaside.drivers.cache.deadline import CALL_S
from cacheaside.drivers.guarded import CACHE, DATABASE
from cacheaside.reading import read_path
from cacheaside.reading.entry import decode, encode
from local.servers.postgres import PostgresServer
from local.servers.valkey import ValkeyServer
from local.servers.valkey_cluster import ValkeyCluster
from tests.component.support.fault_proxy import Fault, FaultProxy, fault_proxy
from tests.component.support.patience import impatience
from tests.support.problem import problem

POLICY: Final = Policy(ttl_ms=60_000, stale_ms=60_000, stale_if_error_ms=600_000, wait_ms=100)
TARGET: Final = "/queries/numbers"
# A call may take CALL_S; the rest is for the load, and for opening connections, which takes next to no time here. If
# this machine stops for a second, we try again: a product that waits longer does so each time.
AT_MOST_ADDED_S: Final = 3 * CALL_S
TRIES: Final = 10


class State(Enum):
    """Where in its life the entry is, by how much older it is made."""

    COLD = None
    FRESH = 0
    STALE = POLICY.ttl_ms + 5_000
    LAST_RESORT = POLICY.ttl_ms + POLICY.stale_ms + 5_000


class Expected(NamedTuple):
    """A status, and a pattern for Cache-Status or the type of the problem."""

    status: int
    pattern: str


MISS = Expected(200, "cacheaside; fwd=miss; stored")
HIT = Expected(200, r"cacheaside; hit; ttl=\d+")
STALE = Expected(200, r"cacheaside; hit; ttl=-\d+")
EXPIRED = Expected(200, "cacheaside; fwd=stale; stored")
BYPASS = Expected(200, "cacheaside; fwd=bypass; detail=cache-unavailable")
NOT_STORED = Expected(200, "cacheaside; fwd=miss; detail=cache-unavailable")
ON_ERROR = Expected(200, "cacheaside; fwd=stale; detail=stale-if-error")
WAITED_OUT = Expected(200, "cacheaside; fwd=stale; detail=waited-out")
UNAVAILABLE = Expected(503, "/docs#unavailable")


@dataclass(frozen=True)
class World:
    """One sandbox between two proxies, whose connections are open, and the cache from the side."""

    api: Any
    cache: FaultProxy
    database: FaultProxy
    client: redis.Redis

    @property
    def function(self) -> Any:
        """The module of the query function."""
        return self.api.module("QueryFunction")

    @contextmanager
    def hurry(self, server: FaultProxy) -> Iterator[None]:
        """Wait for this server no longer than in production, and for the other one as long as it takes."""
        if server is self.cache:
            with impatience("cache"):
                yield
            return
        queries = self.function.catalogue.queries
        patient = queries["numbers"]
        queries["numbers"] = replace(patient, timeout_ms=50)
        with impatience("postgres"):
            yield
        queries["numbers"] = patient

    def reach(self, state: State) -> None:
        """Fill while all is well, and make the entry older."""
        self.expect(MISS)
        [key] = self.client.keys("cacheaside:entry:*")
        stored: Any = self.client.get(key)
        entry = decode(stored)
        assert entry is not None
        if state is State.COLD:
            self.client.delete(key)
        else:
            by = state.value
            older = replace(entry, created_ms=entry.created_ms - by, fresh_until_ms=entry.fresh_until_ms - by)
            self.client.set(key, encode(older), keepttl=True)

    def expect(self, expected: Expected) -> float:
        """Ask, and check the answer. Returns how long it took in seconds."""
        began = time.perf_counter()
        answer = self.api.get(TARGET)
        took = time.perf_counter() - began
        if expected.status == 200:
            assert (answer.status, answer.json) == (200, {"data": {"one": 1}})
            assert re.fullmatch(expected.pattern, answer.cache_status), answer.cache_status
        else:
            assert problem(answer, expected.status)["type"] == expected.pattern
            assert answer.headers["retry-after"] == "5"
        return took


@pytest.fixture(scope="session")
def one_cache(valkey: ValkeyServer | ValkeyCluster) -> ValkeyServer:
    if isinstance(valkey, ValkeyCluster):
        pytest.skip("a cluster tells clients to go to its nodes, past any proxy")
    return valkey


@pytest.fixture
def start_world(
    start_api: Callable[..., Any],
    postgres: PostgresServer,
    one_cache: ValkeyServer,
    client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[], World]]:
    monkeypatch.setattr(read_path, "LEASE_MARGIN_MS", 20_000)  # a lease that is left is still there for who comes next
    with fault_proxy(one_cache.url) as (cache, cache_url), fault_proxy(postgres.url) as (database, database_url):

        def start() -> World:
            api = start_api(database_url, cache_url)
            queries = api.module("QueryFunction").catalogue.queries
            queries["numbers"] = replace(
                queries["version"],
                name="numbers",
                sql="select 1 as one",
                tags=("numbers",),
                timeout_ms=9_000,
                policy=POLICY,
            )
            return World(api, cache, database, client)

        yield start


@pytest.fixture
def world(start_world: Callable[[], World]) -> World:
    return start_world()


def leave_alone_for_good(driver: Any) -> None:
    """Have no breaker that opens ask again in this test, however slow it is."""
    now_ms = driver._guard._breaker._now_ms()
    driver._guard._breaker._now_ms = lambda: now_ms


class Trouble(NamedTuple):
    """A fault, and for latency how much of it each way."""

    fault: Fault
    latency_s: float = 0.0

    def strike(self, proxy: FaultProxy, *, after: int = 0) -> None:
        proxy.switch(self.fault, latency_s=self.latency_s, after=after)

    def __str__(self) -> str:
        return f"{self.fault.name.lower()} {self.latency_s:g} s" if self.latency_s else self.fault.name.lower()


FINE = Trouble(Fault.NONE)
LATE = Trouble(Fault.LATENCY, CALL_S / 10)
TOO_LATE = Trouble(Fault.LATENCY, CALL_S)
SILENCE, REFUSAL, RESET = Trouble(Fault.SILENCE), Trouble(Fault.REFUSAL), Trouble(Fault.RESET)
HALF_OPEN, DRIP, GARBAGE = Trouble(Fault.HALF_OPEN), Trouble(Fault.DRIP), Trouble(Fault.GARBAGE)

USUAL = (MISS, HIT, STALE, EXPIRED)

# In the order of State.
CACHE_TABLE: Final = {
    FINE: USUAL,
    LATE: USUAL,
    TOO_LATE: (BYPASS, BYPASS, BYPASS, BYPASS),
    SILENCE: (BYPASS, BYPASS, BYPASS, BYPASS),
    REFUSAL: (BYPASS, BYPASS, BYPASS, BYPASS),
    RESET: (BYPASS, BYPASS, BYPASS, BYPASS),
    HALF_OPEN: (BYPASS, BYPASS, BYPASS, BYPASS),
    DRIP: (BYPASS, BYPASS, BYPASS, BYPASS),
    GARBAGE: (BYPASS, BYPASS, BYPASS, BYPASS),
}
DATABASE_TABLE: Final = {
    LATE: USUAL,
    SILENCE: (UNAVAILABLE, HIT, STALE, ON_ERROR),
    REFUSAL: (UNAVAILABLE, HIT, STALE, ON_ERROR),
    RESET: (UNAVAILABLE, HIT, STALE, ON_ERROR),
    HALF_OPEN: (UNAVAILABLE, HIT, STALE, ON_ERROR),
    DRIP: (UNAVAILABLE, HIT, STALE, ON_ERROR),
    GARBAGE: (UNAVAILABLE, HIT, STALE, ON_ERROR),
}


def rows(table: Mapping[Trouble, tuple[Expected, ...]]) -> list[Any]:
    return [
        pytest.param(trouble, state, expected, id=f"{trouble}-{state.name.lower()}")
        for trouble, line in table.items()
        for state, expected in zip(State, line, strict=True)
    ]


@pytest.mark.parametrize(("trouble", "state", "expected"), rows(CACHE_TABLE))
def test_cache_fault(world: World, trouble: Trouble, state: State, expected: Expected) -> None:
    world.reach(state)
    trouble.strike(world.cache)
    if expected is not BYPASS:
        world.expect(expected)
        return
    with world.hurry(world.cache):
        world.expect(BYPASS)
    if trouble is not HALF_OPEN:  # which mends itself
        FINE.strike(world.cache)
    world.expect(USUAL[list(State).index(state)])  # as soon as the cache is back, it is as if nothing had been


@pytest.mark.parametrize(("trouble", "state", "expected"), rows(DATABASE_TABLE))
def test_database_fault(world: World, trouble: Trouble, state: State, expected: Expected) -> None:
    world.reach(state)
    trouble.strike(world.database)
    if trouble is LATE:
        world.expect(expected)
        return
    before = world.database.requests
    with world.hurry(world.database):
        world.expect(expected)
    asked = world.database.requests - before
    assert (asked == 0) == (state is State.FRESH or trouble is REFUSAL)
    FINE.strike(world.database)
    before = world.database.connections  # whoever met a fault has none left, and must open one to ask again
    # A failed load or refresh of what can still be served keeps its lease: until that ends, nobody tries again.
    world.expect({ON_ERROR: WAITED_OUT, UNAVAILABLE: MISS}.get(expected, expected))
    assert (world.database.connections == before) == (state is not State.COLD)


@pytest.mark.parametrize("trouble", [SILENCE, REFUSAL, RESET, GARBAGE], ids=str)
@pytest.mark.parametrize(("step", "expected"), [("look", BYPASS), ("acquire", BYPASS), ("store", NOT_STORED)])
def test_cache_fault_that_begins_in_the_middle(
    start_world: Callable[[], World], trouble: Trouble, step: str, expected: Expected
) -> None:
    def took_s() -> float:
        world = start_world()
        FINE.strike(world.cache)
        world.client.flushall()
        world.reach(State.COLD)
        hurry_in(world, step)
        trouble.strike(world.cache, after=["look", "acquire", "store"].index(step))
        return world.expect(expected)

    assert any(took_s() < AT_MOST_ADDED_S for _ in range(TRIES))


def hurry_in(world: World, step: str) -> None:
    """Be patient until this step, which is to meet the fault."""
    cache = world.function.cache
    do = getattr(cache, step)

    def hurried(given: Any) -> Any:
        with world.hurry(world.cache):
            return do(given)

    setattr(cache, step, hurried)


def test_one_reset_while_acquiring_is_asked_again_and_wins(world: World) -> None:
    world.reach(State.COLD)
    world.cache.switch(Fault.RESET, after=1, times=1)
    world.expect(MISS)


def test_one_reset_while_storing_has_stored_though_nobody_knows(world: World) -> None:
    world.reach(State.COLD)
    world.cache.switch(Fault.RESET, after=2, times=1)
    world.expect(NOT_STORED)
    world.expect(HIT)


@pytest.mark.parametrize("state", State, ids=lambda state: state.name.lower())
def test_without_both_servers_nothing_can_be_answered(world: World, state: State) -> None:
    world.reach(state)
    REFUSAL.strike(world.cache)
    REFUSAL.strike(world.database)
    world.expect(UNAVAILABLE)


def test_last_resort_that_was_seen_is_served_though_both_servers_are_gone_by_now(world: World) -> None:
    world.reach(State.LAST_RESORT)
    REFUSAL.strike(world.cache, after=1)
    REFUSAL.strike(world.database)
    world.expect(ON_ERROR)


@pytest.mark.parametrize("trouble", [trouble for trouble in CACHE_TABLE if trouble is not FINE], ids=str)
def test_cache_fault_adds_no_more_than_its_timeout(start_world: Callable[[], World], trouble: Trouble) -> None:
    def took_s() -> float:
        world = start_world()  # whose connections are still to be opened
        world.client.flushall()
        trouble.strike(world.cache)
        with world.hurry(world.cache):
            began = time.perf_counter()
            assert world.api.get(TARGET).status == 200
            return time.perf_counter() - began

    assert any(took_s() < AT_MOST_ADDED_S for _ in range(TRIES))


def test_silent_cache_is_left_alone_after_few_requests(world: World) -> None:
    world.reach(State.FRESH)
    leave_alone_for_good(world.function.cache)
    SILENCE.strike(world.cache)
    with world.hurry(world.cache):
        for _ in range(CACHE.failures):
            world.expect(BYPASS)
    calls = world.cache.connections, world.cache.requests
    for _ in range(5):
        world.expect(BYPASS)
    assert (world.cache.connections, world.cache.requests) == calls


def test_database_that_resets_connections_is_left_alone_after_few_requests(world: World) -> None:
    world.reach(State.COLD)
    leave_alone_for_good(world.function.queries)
    RESET.strike(world.database)
    for _ in range(DATABASE.failures):
        world.expect(UNAVAILABLE)
    calls = world.database.connections, world.database.requests
    for _ in range(5):
        world.expect(UNAVAILABLE)
    assert (world.database.connections, world.database.requests) == calls

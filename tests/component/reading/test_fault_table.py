"""The answer to a caller, for each fault of either server and each state of the entry."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest
import redis

from bench.fault_proxy import Fault, fault_proxy
from cacheaside.drivers.cache import cache as cache_module
from cacheaside.drivers.cache.deadline import CALL_S
from local.servers.postgres import PostgresServer
from local.servers.valkey import ValkeyServer
from local.servers.valkey_cluster import ValkeyCluster
from tests.component.support.faulty_sandbox import MISS, POLICY, EntryState, Expected, InjectedFault, Sandbox

# A call may take CALL_S. The rest is for the load and for opening connections, which is quick here. If this machine
# stops for a second, the test tries again: a product that waits too long does so each time.
AT_MOST_ADDED_S: Final = 3 * CALL_S
TRIES: Final = 10

HIT = Expected(200, r"cacheaside; hit; ttl=\d+")
STALE = Expected(200, r"cacheaside; hit; ttl=-\d+")
EXPIRED = Expected(200, r"cacheaside; fwd=stale; stored; ttl=\d+")
BYPASS = Expected(200, "cacheaside; fwd=bypass; detail=cache-unavailable")
NOT_STORED = Expected(200, "cacheaside; fwd=miss; detail=cache-unavailable")
ON_ERROR = Expected(200, "cacheaside; fwd=stale; detail=stale-if-error")
UNAVAILABLE = Expected(503, "/docs#unavailable")


@pytest.fixture(scope="session")
def one_cache(valkey: ValkeyServer | ValkeyCluster) -> ValkeyServer:
    if isinstance(valkey, ValkeyCluster):
        pytest.skip("a cluster tells clients to go to its nodes, past any proxy")
    return valkey


@pytest.fixture
def start_sandbox(
    start_api: Callable[..., Any],
    postgres: PostgresServer,
    one_cache: ValkeyServer,
    client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[], Sandbox]]:
    monkeypatch.setattr(cache_module, "FAILURE_MS", 20_000)  # a failure that is shared lasts until the next read
    with fault_proxy(one_cache.url) as (cache, cache_url), fault_proxy(postgres.url) as (database, database_url):

        def start() -> Sandbox:
            api = start_api(database_url, cache_url)
            queries = api.module("QueryFunction").catalogue.queries
            queries["numbers"] = queries["version"]._replace(
                name="numbers",
                sql="select 1 as one",
                tags=("numbers",),
                timeout_ms=9_000,
                policy=POLICY,
            )
            return Sandbox(api, cache, database, client)

        yield start


@pytest.fixture
def sandbox(start_sandbox: Callable[[], Sandbox]) -> Sandbox:
    return start_sandbox()


def keep_breakers_open(driver: Any) -> None:
    """Once one of its breakers is open, no probe closes it, however slow this machine is."""
    for breaker in driver._breakers._breakers.values():
        breaker._pause_ms = 3_600_000


NO_FAULT = InjectedFault(Fault.NONE)
SLOW = InjectedFault(Fault.LATENCY, CALL_S / 10)
TOO_SLOW = InjectedFault(Fault.LATENCY, CALL_S)
SILENCE, REFUSAL, RESET = InjectedFault(Fault.SILENCE), InjectedFault(Fault.REFUSAL), InjectedFault(Fault.RESET)
HALF_OPEN, DRIP, GARBAGE = InjectedFault(Fault.HALF_OPEN), InjectedFault(Fault.DRIP), InjectedFault(Fault.GARBAGE)

USUAL = (MISS, HIT, STALE, EXPIRED)

# In the order of EntryState.
CACHE_TABLE: Final = {
    NO_FAULT: USUAL,
    SLOW: USUAL,
    TOO_SLOW: (BYPASS, BYPASS, BYPASS, BYPASS),
    SILENCE: (BYPASS, BYPASS, BYPASS, BYPASS),
    REFUSAL: (BYPASS, BYPASS, BYPASS, BYPASS),
    RESET: (BYPASS, BYPASS, BYPASS, BYPASS),
    HALF_OPEN: (BYPASS, BYPASS, BYPASS, BYPASS),
    DRIP: (BYPASS, BYPASS, BYPASS, BYPASS),
    GARBAGE: (BYPASS, BYPASS, BYPASS, BYPASS),
}
DATABASE_TABLE: Final = {
    SLOW: USUAL,
    SILENCE: (UNAVAILABLE, HIT, STALE, ON_ERROR),
    REFUSAL: (UNAVAILABLE, HIT, STALE, ON_ERROR),
    RESET: (UNAVAILABLE, HIT, STALE, ON_ERROR),
    HALF_OPEN: (UNAVAILABLE, HIT, STALE, ON_ERROR),
    DRIP: (UNAVAILABLE, HIT, STALE, ON_ERROR),
    GARBAGE: (UNAVAILABLE, HIT, STALE, ON_ERROR),
}


def rows(table: Mapping[InjectedFault, tuple[Expected, ...]]) -> list[Any]:
    return [
        pytest.param(fault, state, expected, id=f"{fault}-{state.name.lower()}")
        for fault, line in table.items()
        for state, expected in zip(EntryState, line, strict=True)
    ]


@pytest.mark.parametrize(("fault", "state", "expected"), rows(CACHE_TABLE))
def test_cache_fault(sandbox: Sandbox, fault: InjectedFault, state: EntryState, expected: Expected) -> None:
    sandbox.prepare_entry(state)
    fault.apply(sandbox.cache)
    if expected is not BYPASS:
        sandbox.expect(expected)
        return
    with sandbox.production_timeouts(sandbox.cache):
        sandbox.expect(BYPASS)
    if fault is not HALF_OPEN:  # whose new connections work
        NO_FAULT.apply(sandbox.cache)
    sandbox.expect(USUAL[list(EntryState).index(state)])  # once the cache is back, the answer is the usual one at once


@pytest.mark.parametrize(("fault", "state", "expected"), rows(DATABASE_TABLE))
def test_database_fault(sandbox: Sandbox, fault: InjectedFault, state: EntryState, expected: Expected) -> None:
    sandbox.prepare_entry(state)
    fault.apply(sandbox.database)
    if fault is SLOW:
        sandbox.expect(expected)
        return
    before = sandbox.database.requests
    with sandbox.production_timeouts(sandbox.database):
        sandbox.expect(expected)
    asked = sandbox.database.requests - before
    assert (asked == 0) == (state is EntryState.FRESH or fault is REFUSAL)
    NO_FAULT.apply(sandbox.database)
    before = sandbox.database.connections  # after a fault no connection is left, and a load must open one
    # Silence is a failure that is shared, and so is any of a refresh. While that lasts, no read tries again. After any
    # other, each read does.
    is_shared = fault in (SILENCE, HALF_OPEN, DRIP) or state is EntryState.STALE
    sandbox.expect(expected if is_shared else {ON_ERROR: EXPIRED, UNAVAILABLE: MISS}.get(expected, expected))
    assert (sandbox.database.connections == before) == (is_shared or state is EntryState.FRESH)


@pytest.mark.parametrize("fault", [SILENCE, REFUSAL, RESET, GARBAGE], ids=str)
@pytest.mark.parametrize(("step", "expected"), [("look", BYPASS), ("acquire", BYPASS), ("store", NOT_STORED)])
def test_cache_fault_that_begins_in_the_middle(
    start_sandbox: Callable[[], Sandbox], fault: InjectedFault, step: str, expected: Expected
) -> None:
    def took_s() -> float:
        sandbox = start_sandbox()
        NO_FAULT.apply(sandbox.cache)
        sandbox.client.flushall()
        sandbox.prepare_entry(EntryState.COLD)
        sandbox.production_timeouts_in(step)
        sandbox.production_timeouts_in("release")  # which follows a step that failed
        fault.apply(sandbox.cache, after=["look", "acquire", "store"].index(step))
        return sandbox.expect(expected)

    assert any(took_s() < AT_MOST_ADDED_S for _ in range(TRIES))


def test_acquire_is_repeated_after_one_reset_and_wins(sandbox: Sandbox) -> None:
    sandbox.prepare_entry(EntryState.COLD)
    sandbox.cache.switch(Fault.RESET, after=1, times=1)
    sandbox.expect(MISS)


def test_store_whose_reply_is_reset_has_stored_but_is_not_reported_as_stored(sandbox: Sandbox) -> None:
    sandbox.prepare_entry(EntryState.COLD)
    sandbox.cache.switch(Fault.RESET, after=2, times=1)
    sandbox.expect(NOT_STORED)
    sandbox.expect(HIT)


@pytest.mark.parametrize("state", EntryState, ids=lambda state: state.name.lower())
def test_without_both_servers_every_read_is_unavailable(sandbox: Sandbox, state: EntryState) -> None:
    sandbox.prepare_entry(state)
    REFUSAL.apply(sandbox.cache)
    REFUSAL.apply(sandbox.database)
    sandbox.expect(UNAVAILABLE)


def test_cache_that_answers_again_is_asked_before_a_read_fails(sandbox: Sandbox) -> None:
    """Found by `make chaos`: PostgreSQL restarted, and a look was later than a load of this query takes."""
    sandbox.prepare_entry(EntryState.FRESH)
    sandbox.cache.switch(Fault.RESET, times=2)  # a look is sent again once
    REFUSAL.apply(sandbox.database)
    sandbox.expect(HIT)


def test_last_resort_that_was_read_is_served_if_both_servers_fail_after_that(sandbox: Sandbox) -> None:
    sandbox.prepare_entry(EntryState.LAST_RESORT)
    REFUSAL.apply(sandbox.cache, after=1)
    REFUSAL.apply(sandbox.database)
    sandbox.expect(ON_ERROR)


@pytest.mark.parametrize("fault", [fault for fault in CACHE_TABLE if fault is not NO_FAULT], ids=str)
def test_cache_fault_adds_no_more_than_its_timeout(start_sandbox: Callable[[], Sandbox], fault: InjectedFault) -> None:
    def took_s() -> float:
        sandbox = start_sandbox()  # whose connections are not open yet
        sandbox.client.flushall()
        fault.apply(sandbox.cache)
        with sandbox.production_timeouts(sandbox.cache):
            began = time.perf_counter()
            assert sandbox.answer().status == 200
            return time.perf_counter() - began

    assert any(took_s() < AT_MOST_ADDED_S for _ in range(TRIES))


def test_silent_cache_gets_no_calls_after_two_failures_and_is_used_again_by_itself(sandbox: Sandbox) -> None:
    sandbox.prepare_entry(EntryState.FRESH)
    keep_breakers_open(sandbox.function.cache)
    SILENCE.apply(sandbox.cache)
    with sandbox.production_timeouts(sandbox.cache):
        for _ in range(2):
            sandbox.expect(BYPASS)
    calls = sandbox.cache.connections, sandbox.cache.requests
    for _ in range(5):
        sandbox.expect(BYPASS)
    assert (sandbox.cache.connections, sandbox.cache.requests) == calls
    NO_FAULT.apply(sandbox.cache)
    for breaker in sandbox.function.cache._breakers._breakers.values():
        breaker._due_ms = 0
    sandbox.expect(BYPASS)  # and the probe has run
    sandbox.expect(HIT)


def test_load_time_of_a_hit_limits_the_next_look(start_sandbox: Callable[[], Sandbox]) -> None:
    """The sandbox has loaded nothing itself: the entry tells how long its load took."""

    def is_hit_once() -> bool:
        sandbox = start_sandbox()  # after a look that was late, one has loaded the answer itself
        NO_FAULT.apply(sandbox.cache)
        sandbox.client.flushall()
        sandbox.prepare_entry(EntryState.FRESH, load_ms=1)
        SLOW.apply(sandbox.cache)
        with sandbox.production_timeouts(sandbox.cache):
            sandbox.function.cache._load_s.clear()
            sandbox.function.cache._last_loads_ms.clear()
            if not sandbox.answer().cache_status.startswith("cacheaside; hit"):
                return False
            for _ in range(3):
                sandbox.expect(BYPASS)
        return True

    assert any(is_hit_once() for _ in range(TRIES))


def test_database_that_resets_connections_is_used_again_at_once(sandbox: Sandbox) -> None:
    sandbox.prepare_entry(EntryState.COLD)
    RESET.apply(sandbox.database)
    for _ in range(5):
        sandbox.expect(UNAVAILABLE)
    NO_FAULT.apply(sandbox.database)
    sandbox.expect(MISS)

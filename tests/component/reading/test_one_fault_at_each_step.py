"""One call of a read is slow, late or lost, whichever it is. The read answers, and leaves no lease to wait for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pytest
import redis

from bench.fault_proxy import Fault, FaultProxy, fault_proxy
from cacheaside.catalogue.policy import LEASE_MS, Policy
from cacheaside.drivers.cache import cache as cache_module
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.guarded import GuardedCache
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.errors import StatementFailed
from cacheaside.reading.outcome import Outcome
from cacheaside.reading.question import Question
from cacheaside.reading.reader import Reader
from cacheaside.settings import Authentication, CacheSettings, DatabaseSettings
from local.servers.valkey import ValkeyServer
from tests.component.support.question import question
from tests.component.support.timeouts import production_timeouts_of

# A lease that is not given back, and that does not end soon, would use up the time of the next reader.
POLICY: Final = Policy(ttl_ms=60_000, wait_ms=5_000)
SQL: Final = {
    "look": "select 1 as one",
    "acquire": "select 1 as one",
    "renew": "select 1 as one from pg_sleep(0.6)",
    "store": "select 1 as one",
    "release": "select 1 / 0 as one",
}
# The requests of the read before the step.
BEFORE: Final = {"look": 0, "acquire": 1, "renew": 2, "store": 2, "release": 2}
FAULTS: Final = {
    "slow": (Fault.SLOW_COMMANDS, 0.05),
    "late": (Fault.LATE_ANSWER, 0.3),
    "late on the way": (Fault.LATENCY, 0.3),
    "lost reply": (Fault.RESET, 0.0),
    "no reply": (Fault.SILENCE, 0.0),
}
# Here a lease is left, and ends by itself: its Acquire arrives after its Release, or its Release never arrives.
ENDS_BY_ITSELF: Final = [("acquire", Fault.LATENCY), ("release", Fault.SILENCE)]


@pytest.fixture
def proxy(valkey: ValkeyServer, client: redis.Redis) -> Iterator[tuple[FaultProxy, str]]:
    with fault_proxy(valkey.url) as proxy_and_url:
        yield proxy_and_url


def reader(cache_url: str, database: DatabaseSettings) -> Reader:
    cache = Cache(CacheSettings(url=cache_url, authentication=Authentication.URL, region="", name=""))
    return Reader(GuardedCache(cache), Queries(database))


def read(by: Reader, asked: Question) -> Outcome | None:
    """Return the outcome, or None if the load failed."""
    try:
        return by.read(asked, lambda: 29_000).outcome
    except StatementFailed:
        return None


@pytest.mark.parametrize(("fault", "latency_s"), FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("step", SQL)
def test_read_answers_and_the_next_one_does_not_wait_for_its_lease(
    proxy: tuple[FaultProxy, str],
    valkey: ValkeyServer,
    database_settings: DatabaseSettings,
    step: str,
    fault: Fault,
    latency_s: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    through, url = proxy
    asked = question(SQL[step], tags=("products", "products:1"), policy=POLICY)
    first, second = reader(url, database_settings), reader(valkey.url, database_settings)
    for query in set(SQL.values()):  # opens connections, and loads the scripts
        read(first, replace(asked, query=asked.query._replace(name="other", sql=query)))
    with production_timeouts_of("cache"), monkeypatch.context() as patch:
        # So a lease that is left is felt.
        patch.setattr(cache_module, "LEASE_MS", LEASE_MS if (step, fault) in ENDS_BY_ITSELF else 60_000)
        through.switch(fault, latency_s=latency_s, after=BEFORE[step], times=1)
        outcomes = [read(first, asked), read(second, asked), read(second, asked)]
    assert [outcome and outcome.entry.body for outcome in outcomes] == [
        None if step == "release" else b'{"data":[{"one":1}]}'
    ] * 3


def test_every_fault_was_met(proxy: tuple[FaultProxy, str], database_settings: DatabaseSettings) -> None:
    """The table above counts requests. If a read had others, its faults would meet other steps."""
    through, url = proxy
    by = reader(url, database_settings)
    asked = question(SQL["renew"], tags=("products",), policy=POLICY)
    read(by, replace(asked, query=asked.query._replace(name="other")))
    before = through.requests
    read(by, asked)
    assert through.requests - before >= 4  # look, acquire, a renewal or more, store

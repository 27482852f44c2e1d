"""Whatever error a read meets, wherever: it gives its lease back, and the next read does not wait. On real servers."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import pytest

from cacheaside.catalogue.parameters import Parameter
from cacheaside.catalogue.policy import LEASE_MS, LONGEST_LOAD_MS, Policy
from cacheaside.clock import epoch_ms
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.errors import CacheUnavailable
from cacheaside.reading.outcome import Source
from cacheaside.reading.question import Question
from cacheaside.reading.reader import Reader
from cacheaside.reading.steps import Acquire, Load, Look, Step, Store
from cacheaside.settings import DatabaseSettings
from tests.component.support.cache_servers import CacheServer, settings_of
from tests.component.support.question import question
from tests.support.raising_servers import FOREIGN_ERRORS, RaisingServers

# A read that finds a lease fails at once, so that no test waits.
POLICY: Final = Policy(ttl_ms=60_000, stale_ms=60_000, wait_ms=0)
ASKED: Final = question("select 1 as one", tags=("products", "products:1"), policy=POLICY)
LATER_MS: Final = {"miss": 0, "refresh": POLICY.ttl_ms + 1_000}

Servers = tuple[Cache, Queries]


@pytest.fixture
def servers(cache_server: CacheServer, plain_client: Any, database_settings: DatabaseSettings) -> Servers:
    return Cache(settings_of(cache_server)), Queries(database_settings)


def read(cache: Any, database: Any, asked: Question, later_ms: int) -> Source:
    """Read at a later time, and run the refresh if there is one."""
    reader = Reader(cache, database, lambda: epoch_ms() + later_ms)
    outcome = reader.read(asked, lambda: 29_000).outcome
    if outcome.refresh is not None:
        reader.refresh(outcome.refresh)
    return outcome.source


@pytest.mark.parametrize("later_ms", LATER_MS.values(), ids=LATER_MS)
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", [Look, Acquire, Load, Store], ids=lambda step: step.__name__)
def test_error_at_any_step_leaves_no_lease(
    servers: Servers, plain_client: Any, at: type[Step], done: bool, later_ms: int
) -> None:
    cache, database = servers
    for error in (*FOREIGN_ERRORS, *([] if at is Load else [CacheUnavailable("no reply")])):
        plain_client.flushall()
        if later_ms:
            read(cache, database, ASKED, 0)
        raising = RaisingServers(cache, database, at, error, done=done)
        with suppress(BaseException):
            read(raising, raising, ASKED, later_ms)
        assert not plain_client.exists(ASKED.keys.lease), repr(error)
        read(cache, database, ASKED, later_ms)
        assert read(cache, database, ASKED, later_ms) is Source.HIT


def test_lease_that_never_ends_does_not_keep_an_answer_stale(servers: Servers, plain_client: Any) -> None:
    cache, database = servers
    read(cache, database, ASKED, 0)
    plain_client.set(ASKED.keys.lease, b"x" * 16)
    overdue_ms = POLICY.ttl_ms + LONGEST_LOAD_MS + LEASE_MS + 1_000
    assert read(cache, database, ASKED, overdue_ms) is Source.STALE
    assert read(cache, database, ASKED, overdue_ms) is Source.HIT


def test_value_that_the_database_driver_cannot_encode_leaves_no_lease(servers: Servers, plain_client: Any) -> None:
    cache, database = servers
    query = question("select %(q)s as q", parameters={"q": Parameter(name="q", type="text")}, policy=POLICY).query
    asked = Question(query, {"q": "\ud800"})
    with suppress(Exception):  # its kind is another test's business
        read(cache, database, asked, 0)
    assert not plain_client.exists(asked.keys.lease)

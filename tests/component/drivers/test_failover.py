"""After a failover some connections and host names still lead to the former primary."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from bench.fault_proxy import fault_proxy
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.errors import CacheUnavailable, DatabaseUnavailable
from cacheaside.invalidation.drain import Drainer
from cacheaside.reading import steps
from cacheaside.reading.keys import Keys, tag_key
from cacheaside.settings import CacheSettings, DatabaseSettings
from local.servers.postgres import PostgresServer
from local.servers.valkey import ValkeyServer
from local.servers.valkey_cluster import ValkeyCluster
from tests.component.support.cache_servers import settings_of
from tests.component.support.outages import OUTAGES
from tests.component.support.sql import Sql

# PostgreSQL


def test_a_standby_is_refused_because_it_may_lack_the_latest_write(
    new_folder: Callable[[str], Path], database_settings: DatabaseSettings
) -> None:
    with PostgresServer(new_folder("standby"), durable=False) as server:
        database = Queries(database_settings._replace(url=server.url))
        database.ping()
        server.stop()
        (server.folder / "data" / "standby.signal").touch()
        server.start()
        with pytest.raises(DatabaseUnavailable) as refused:
            database.ping()
        assert "standby" in str(refused.value.__cause__)


# A demoted node that still runs


@pytest.fixture
def demoted(tmp_path: Path) -> Iterator[tuple[CacheSettings, Callable[[], None]]]:
    """A cache behind a proxy, and a function that demotes it to a replica. Then the proxy leads to the new primary."""
    with (
        ValkeyServer(tmp_path / "former") as former,
        ValkeyServer(tmp_path / "new") as new,
        fault_proxy(former.url) as (name, url),
    ):

        def fail_over() -> None:
            name.redirect(new.url)
            with redis.Redis.from_url(former.url) as client:
                client.replicaof("127.0.0.1", str(new.port))

        yield settings_of(former)._replace(url=url), fail_over


def test_a_kept_connection_to_a_demoted_primary_is_replaced(
    demoted: tuple[CacheSettings, Callable[[], None]], outbox: Outbox, sql: Sql
) -> None:
    settings, fail_over = demoted
    drainer = Drainer(outbox, Cache(settings))
    assert drainer.drain().reachable
    fail_over()
    sql("update products set price = price + 1 where id = 7")
    assert drainer.drain().reachable
    assert outbox.backlog().rows == 0


def test_a_store_on_a_demoted_primary_fails_and_the_next_reaches_the_new_one(
    demoted: tuple[CacheSettings, Callable[[], None]],
) -> None:
    settings, fail_over = demoted
    cache, keys = Cache(settings), Keys("q", "cacheaside:entry:{q}", "cacheaside:lease:{q}", ())
    take = steps.Acquire(keys, b"mine", (), 60_000)
    assert cache.acquire(take).won
    fail_over()
    with pytest.raises(CacheUnavailable):  # the driver cannot know whether it was stored, so it does not try again
        cache.store(steps.Store(keys, b"mine", b"answer", 60_000))
    assert cache.acquire(take).won
    assert cache.store(steps.Store(keys, b"mine", b"answer", 60_000))


@pytest.mark.parametrize("held", [False, True])
def test_a_lease_is_not_sought_on_a_demoted_primary(
    demoted: tuple[CacheSettings, Callable[[], None]], held: bool
) -> None:
    settings, fail_over = demoted
    cache, keys = Cache(settings), Keys("q", "cacheaside:entry:{q}", "cacheaside:lease:{q}", (tag_key("orders"),))
    first, second = (steps.Acquire(keys, token * 16, (token * 16,), 60_000) for token in (b"1", b"2"))
    cache.acquire(first)
    if not held:
        cache.release(steps.Release(keys, first.token))
    fail_over()
    assert cache.acquire(second).won, "the new primary, here an empty one, holds no lease"


# A cluster with one node unavailable


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ValkeyCluster]:
    with ValkeyCluster(tmp_path / "cluster") as cluster:
        yield cluster


@pytest.mark.parametrize("failure", OUTAGES)
@pytest.mark.usefixtures("production_timeouts")
def test_an_unavailable_node_does_not_keep_changes_from_the_others(
    cluster: ValkeyCluster, outbox: Outbox, sql: Sql, failure: str
) -> None:
    cache = Cache(settings_of(cluster))
    drainer = Drainer(outbox, cache)
    drainer.drain(seconds=30)
    lost = cluster.nodes[1]
    rows = [f"products:{number}" for number in range(1, 61)]
    here = [row for row in rows if cluster.owner(tag_key(row)) is not lost]
    for row in here:
        node = cluster.owner(tag_key(row))
        with redis.Redis.from_url(node.url) as client:
            client.set(tag_key(row), b"version")

    def remaining() -> list[str]:
        found = []
        for row in here:
            with redis.Redis.from_url(owner[row]) as client:
                found += [row] if client.exists(tag_key(row)) else []
        return found

    owner = {row: cluster.owner(tag_key(row)).url for row in here}
    assert remaining() == here
    assert 0 < len(here) < len(rows)
    with OUTAGES[failure](lost):
        sql("update products set price = price + 1 where id <= 60")
        for _ in range(20):  # if this machine stalls, another node looks unavailable
            drained = drainer.drain(seconds=30)
            if not remaining():
                break
        assert remaining() == []
        assert not drained.reachable
        assert outbox.backlog().rows == 60, "they stay pending until the node is back"
    deadline = time.monotonic() + 60
    while outbox.backlog().rows:
        assert time.monotonic() < deadline, "the changes were not drained to the node"
        drainer.drain(seconds=30)
        time.sleep(0.1)


def test_more_tags_than_fit_in_one_call_take_several_calls(cache_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cacheaside.drivers.cache.exchange._COMMANDS_PER_CALL", 2)
    cache, tags = Cache(settings_of(cache_server)), [f"products:{number}" for number in range(20)]
    keys = Keys("q", "cacheaside:entry:{q}", "cacheaside:lease:{q}", tuple(map(tag_key, tags)))
    cache.acquire(steps.Acquire(keys, b"mine", tuple(tag.encode() for tag in tags), 60_000))
    assert cache.invalidate_tags(tags) == 20
    assert cache.look(steps.Look(keys)).tags == (None,) * 20
    cache.release(steps.Release(keys, b"mine"))

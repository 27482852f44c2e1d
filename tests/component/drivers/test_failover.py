"""After a failover some connections, and some names, lead to what was the primary once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

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
from tests.component.support.fault_proxy import fault_proxy

Sql = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def outbox(outbox_settings: DatabaseSettings) -> Outbox:
    return Outbox(outbox_settings)


# PostgreSQL


def test_a_standby_is_not_asked_it_may_be_behind_the_write_that_took_the_answer_out(
    servers_folder: Path, database_settings: DatabaseSettings
) -> None:
    with PostgresServer(servers_folder / "standby", durable=False) as server:
        database = Queries(replace(database_settings, url=server.url))
        database.ping()
        server.stop()
        (servers_folder / "standby" / "data" / "standby.signal").touch()
        server.start()
        with pytest.raises(DatabaseUnavailable) as refused:
            database.ping()
        assert "standby" in str(refused.value.__cause__)


# A node that was demoted, and lives on


@pytest.fixture
def demoted(tmp_path: Path) -> Iterator[tuple[CacheSettings, Callable[[], None]]]:
    """A cache behind a name, and what makes its primary a replica of another, to which the name leads from then on."""
    with (
        ValkeyServer(tmp_path / "former") as former,
        ValkeyServer(tmp_path / "new") as new,
        fault_proxy(former.url) as (name, url),
    ):

        def fail_over() -> None:
            name.lead_to(new.url)
            with redis.Redis.from_url(former.url) as client:
                client.replicaof("127.0.0.1", str(new.port))

        yield replace(settings_of(former), url=url), fail_over


def test_a_kept_connection_to_a_demoted_primary_is_given_up(
    demoted: tuple[CacheSettings, Callable[[], None]], outbox: Outbox, sql: Sql
) -> None:
    settings, fail_over = demoted
    drainer = Drainer(outbox, Cache(settings))
    assert drainer.drain().reachable
    fail_over()
    sql("update products set price = price + 1 where id = 7")
    assert drainer.drain().reachable
    assert outbox.backlog().rows == 0


def test_an_answer_is_not_stored_on_a_demoted_primary_and_the_next_one_is_on_the_new(
    demoted: tuple[CacheSettings, Callable[[], None]],
) -> None:
    settings, fail_over = demoted
    cache, keys = Cache(settings), Keys("cacheaside:entry:{q}", "cacheaside:lease:{q}", ())
    take = steps.Acquire(keys, b"mine", 60_000, (), 60_000)
    assert cache.acquire(take).won
    fail_over()
    with pytest.raises(CacheUnavailable):  # whether it was stored is not known, so it is not tried again
        cache.store(steps.Store(keys, b"mine", b"answer", 60_000))
    assert cache.acquire(take).won
    assert cache.store(steps.Store(keys, b"mine", b"answer", 60_000))


# A cluster of which one node is away


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ValkeyCluster]:
    with ValkeyCluster(tmp_path / "cluster") as cluster:
        yield cluster


@pytest.mark.parametrize("trouble", ["kill", "freeze"])
@pytest.mark.usefixtures("impatient")
def test_a_node_that_is_away_does_not_keep_changes_from_the_others(
    cluster: ValkeyCluster, outbox: Outbox, sql: Sql, trouble: str
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

    def left() -> list[str]:
        found = []
        for row in here:
            with redis.Redis.from_url(owner[row]) as client:
                found += [row] if client.exists(tag_key(row)) else []
        return found

    owner = {row: cluster.owner(tag_key(row)).url for row in here}
    assert left() == here
    assert 0 < len(here) < len(rows)
    getattr(lost, trouble)()
    try:
        sql("update products set price = price + 1 where id <= 60")
        for _ in range(20):  # a stall of this machine looks like another node that is away
            drained = drainer.drain(seconds=30)
            if not left():
                break
        assert left() == []
        assert not drained.reachable
        assert outbox.backlog().rows == 60, "the node will hear of it when it is back"
    finally:
        if trouble == "freeze":
            lost.thaw()
        else:
            lost.start()
    ends = time.monotonic() + 60
    while outbox.backlog().rows:
        assert time.monotonic() < ends, "the node did not hear of it"
        drainer.drain(seconds=30)
        time.sleep(0.1)


def test_more_tags_than_one_call_may_have_take_several(cache_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cacheaside.drivers.cache.exchange._COMMANDS_PER_CALL", 2)
    cache, tags = Cache(settings_of(cache_server)), [f"products:{number}" for number in range(20)]
    keys = Keys("cacheaside:entry:{q}", "cacheaside:lease:{q}", tuple(map(tag_key, tags)))
    cache.acquire(steps.Acquire(keys, b"mine", 60_000, tuple(tag.encode() for tag in tags), 60_000))
    assert cache.invalidate_tags(tags) == 20
    assert cache.look(steps.Look(keys)).tags == (None,) * 20
    cache.release(steps.Release(keys, b"mine"))

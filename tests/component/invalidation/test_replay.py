"""The cache fails over to a replica that lacks the latest invalidations: a replay makes up for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.errors import CacheUnavailable
from cacheaside.invalidation.drain import Drainer
from cacheaside.settings import DatabaseSettings
from local.servers.valkey_cluster import ValkeyCluster
from tests.component.support.cache_servers import settings_of
from tests.component.support.drain_batch import drain_batch
from tests.component.support.replicated_cache import Pair, replicated_pair, version
from tests.component.support.sql import Sql
from tests.support.wait_until import wait_until


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with replicated_pair(tmp_path) as pair:
        yield pair


def test_an_old_answer_that_a_failover_brings_back_is_invalidated_again(
    pair: Pair, outbox: Outbox, start_api: Any, sql: Sql
) -> None:
    drainer = Drainer(outbox, Cache(settings_of(pair.primary)))
    assert drainer.drain().reachable  # the outbox knows this primary from now on
    sql("truncate cacheaside.outbox")
    old = start_api(cache_url=pair.primary.url).get("/queries/product?id=7")
    pair.catch_up()

    pair.cut_network()
    sql("update products set price = price + 1 where id = 7")
    assert drainer.drain().rows == 1
    assert version(pair.primary, "products:7") is None
    pair.fail_over()

    api = start_api(cache_url=pair.replica.url)
    stale = api.get("/queries/product?id=7")
    assert stale.cache_status.startswith("cacheaside; hit"), "the failover must bring the old answer back"
    assert stale.body == old.body
    drained = Drainer(outbox, Cache(settings_of(pair.replica))).drain()
    assert (drained.rows, drained.replayed) == (1, 1)
    fresh = api.get("/queries/product?id=7")
    assert fresh.cache_status.startswith("cacheaside; fwd=miss; stored; ttl=")
    assert fresh.body != old.body
    again = Drainer(outbox, Cache(settings_of(pair.replica))).drain()
    assert (again.rows, again.replayed) == (0, 0), "a replay happens once for each failover"


def test_a_replay_includes_the_batch_that_another_drainer_has_locked(
    outbox_settings: DatabaseSettings, outbox: Outbox, sql: Sql
) -> None:
    """The other drainer invalidates on the lost primary, and marks its batch after the failover has been noticed."""
    waits = "select pid from pg_stat_activity where usename = 'cacheaside_invalidate' and wait_event_type = 'Lock'"
    sql("update products set price = price where id = 1")
    outbox.replay("before")
    noticing = Outbox(outbox_settings)
    done: list[bool] = []

    def invalidate(_: object) -> None:
        thread.start()
        wait_until(lambda: done or sql(waits))
        assert done == [], "the replay waits for the locked batch"

    thread = threading.Thread(target=lambda: done.append(noticing.replay("after")))
    assert drain_batch(outbox, invalidate, 10, "before") == 1
    thread.join()
    assert done == [True]
    taken: list[str] = []
    assert drain_batch(noticing, taken.extend, 10, "after") == 1
    assert taken == ["products:1"]


def test_nothing_is_drained_into_a_former_primary(outbox: Outbox, sql: Sql) -> None:
    sql("update products set price = price where id = 1")
    outbox.replay("new")
    assert drain_batch(outbox, lambda _: None, 10, "old") == 0
    assert drain_batch(outbox, lambda _: None, 10, "new") == 1


def test_a_replay_of_very_many_rows_is_one_of_tables(outbox: Outbox, sql: Sql) -> None:
    sql(
        "insert into cacheaside.outbox (transaction_id, change, drained_at) "
        """select n::text::xid8, '"a:1":' || n %% 5000, now() from generate_series(1, 20000) as n """
        "union all select '1'::xid8, 'orders:1', now()"
    )
    assert outbox.replay("new")
    taken: list[str] = []
    drain_batch(outbox, taken.extend, 10_000)
    assert sorted(taken) == ['"a:1"', "orders:1"]


def test_a_cache_without_a_replication_id_causes_no_replay(outbox: Outbox, sql: Sql) -> None:
    sql("insert into cacheaside.outbox (change, drained_at) values ('products', now())")
    assert outbox.replay("known")
    assert not outbox.replay("")
    assert not outbox.replay("known")


@pytest.mark.parametrize("event", ["kill", "failover"])
def test_replication_ids_change_whenever_invalidations_may_be_undone(pair: Pair, event: str) -> None:
    before = Cache(settings_of(pair.primary)).replication_ids()
    assert before == Cache(settings_of(pair.primary)).replication_ids()
    if event == "kill":
        pair.primary.kill()
        pair.primary.start()
        assert Cache(settings_of(pair.primary)).replication_ids() != before
    else:
        pair.fail_over()
        assert Cache(settings_of(pair.replica)).replication_ids() != before


def test_the_id_of_a_cluster_names_all_its_primaries(cache_servers: Callable[[str], Any]) -> None:
    cluster: ValkeyCluster = cache_servers("cluster-8")
    cache = Cache(settings_of(cluster))
    before = cache.replication_ids()
    assert len(before.split(",")) == 3
    cluster.nodes[1].kill()
    wait_until(lambda: len(cache.replication_ids().split(",")) == 2)
    assert set(cache.replication_ids().split(",")) < set(before.split(","))
    cluster.nodes[1].start()
    wait_until(lambda: same_or_none(cache, before) is False)


def same_or_none(cache: Cache, before: str) -> bool | None:
    try:
        return cache.replication_ids() == before
    except CacheUnavailable:
        return None

"""The cache fails over to a replica that has not got the last of what was taken out, and nothing old stays for that."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import redis

from cacheaside.drivers.cache import exchange
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.cache.exchange import NotReplicated
from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.errors import CacheUnavailable
from cacheaside.invalidation.drain import Drainer
from cacheaside.reading.keys import tag_key
from cacheaside.settings import CacheSettings, DatabaseSettings
from local.servers.valkey import ValkeyServer
from local.servers.valkey_cluster import ValkeyCluster
from tests.component.support.batches import drain_batch
from tests.component.support.cache_servers import settings_of
from tests.component.support.fault_proxy import Fault, FaultProxy, fault_proxy
from tests.support.until import until

Sql = Callable[..., list[tuple[Any, ...]]]
CONFIRM_MS = exchange._CONFIRM_MS


@dataclass(frozen=True)
class Pair:
    """A primary, its replica, and the network between the two."""

    primary: ValkeyServer
    replica: ValkeyServer
    network: FaultProxy

    def catch_up(self) -> None:
        with redis.Redis.from_url(self.primary.url) as primary:
            primary.set("the last", "word")
            until(lambda: primary.wait(1, 100) == 1)

    def part(self) -> None:
        """What the primary says is lost on its way. (A replica that is only frozen would hear it when it thaws.)"""
        self.network.switch(Fault.HALF_OPEN)

    def fail_over(self) -> None:
        """The primary dies, and the replica takes over with what it has."""
        self.primary.kill()
        with redis.Redis.from_url(self.replica.url) as replica:
            replica.replicaof("NO", "ONE")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with ExitStack() as exits:
        primary = exits.enter_context(ValkeyServer(tmp_path / "primary", settings={"repl-diskless-sync-delay": "0"}))
        replica = exits.enter_context(ValkeyServer(tmp_path / "replica"))
        network, url = exits.enter_context(fault_proxy(primary.url))
        with redis.Redis.from_url(replica.url) as client:
            client.replicaof("127.0.0.1", url.rpartition(":")[2])
        pair = Pair(primary, replica, network)
        pair.catch_up()
        yield pair


@pytest.fixture
def outbox(outbox_settings: DatabaseSettings) -> Outbox:
    return Outbox(outbox_settings)


def version(server: ValkeyServer, tag: str) -> bytes | None:
    with redis.Redis.from_url(server.url) as client:
        found: bytes | None = client.get(tag_key(tag))
        return found


# What the failover brings back, goes again


def test_a_failover_that_brings_an_old_answer_back_is_noticed_and_it_goes_again(
    pair: Pair, outbox: Outbox, start_api: Any, sql: Sql
) -> None:
    drainer = Drainer(outbox, Cache(settings_of(pair.primary)))
    assert drainer.drain().reachable  # knows the primary from now on
    sql("truncate cacheaside.outbox")
    old = start_api(cache_url=pair.primary.url).get("/queries/product?id=7")
    pair.catch_up()

    pair.part()
    sql("update products set price = price + 1 where id = 7")
    assert drainer.drain().rows == 1
    assert version(pair.primary, "products:7") is None
    pair.fail_over()

    api = start_api(cache_url=pair.replica.url)
    stale = api.get("/queries/product?id=7")
    assert stale.cache_status.startswith("cacheaside; hit"), "or this proves nothing"
    assert stale.body == old.body
    drained = Drainer(outbox, Cache(settings_of(pair.replica))).drain()
    assert (drained.rows, drained.replayed) == (1, 1)
    fresh = api.get("/queries/product?id=7")
    assert fresh.cache_status == "cacheaside; fwd=miss; stored"
    assert fresh.body != old.body
    again = Drainer(outbox, Cache(settings_of(pair.replica))).drain()
    assert (again.rows, again.replayed) == (0, 0), "once for each failover"


def test_what_another_drainer_has_in_hand_is_not_left_out_of_a_replay(
    outbox_settings: DatabaseSettings, outbox: Outbox, sql: Sql
) -> None:
    """It was taken out of the primary that is gone, and is marked as drained only after the failover was noticed."""
    waits = "select pid from pg_stat_activity where usename = 'cacheaside_invalidate' and wait_event_type = 'Lock'"
    sql("update products set price = price where id = 1")
    outbox.replay("before")
    noticing = Outbox(outbox_settings)
    done: list[bool] = []

    def take_out(_: object) -> None:
        thread.start()
        until(lambda: done or sql(waits))
        assert done == [], "waits for what is in hand"

    thread = threading.Thread(target=lambda: done.append(noticing.replay("after")))
    assert drain_batch(outbox, take_out, 10, "before") == 1
    thread.join()
    assert done == [True]
    taken: list[str] = []
    assert drain_batch(noticing, taken.extend, 10, "after") == 1
    assert taken == ["products:1"]


def test_nothing_is_drained_into_a_cache_that_is_not_everyone_elses_any_more(outbox: Outbox, sql: Sql) -> None:
    sql("update products set price = price where id = 1")
    outbox.replay("new")
    assert drain_batch(outbox, lambda _: None, 10, "old") == 0
    assert drain_batch(outbox, lambda _: None, 10, "new") == 1


def test_a_replay_of_very_much_is_one_of_tables(outbox: Outbox, sql: Sql) -> None:
    sql(
        "insert into cacheaside.outbox (transaction_id, change, drained_at) "
        "select n::text::xid8, 'products:' || n %% 5000, now() from generate_series(1, 20000) as n "
        "union all select '1'::xid8, 'orders:1', now()"
    )
    assert outbox.replay("new")
    taken: list[str] = []
    drain_batch(outbox, taken.extend, 10_000)
    assert sorted(taken) == ["orders:1", "products"]


def test_a_cache_that_does_not_tell_who_it_is_is_the_same_as_ever(outbox: Outbox, sql: Sql) -> None:
    sql("insert into cacheaside.outbox (change, drained_at) values ('products', now())")
    assert outbox.replay("known")
    assert not outbox.replay("")
    assert not outbox.replay("known")


@pytest.mark.parametrize("how", ["kill", "failover"])
def test_ids_change_whenever_what_was_taken_out_may_be_back(pair: Pair, how: str) -> None:
    before = Cache(settings_of(pair.primary)).replication_ids()
    assert before == Cache(settings_of(pair.primary)).replication_ids()
    if how == "kill":
        pair.primary.kill()
        pair.primary.start()
        assert Cache(settings_of(pair.primary)).replication_ids() != before
    else:
        pair.fail_over()
        assert Cache(settings_of(pair.replica)).replication_ids() != before


def test_a_cluster_is_known_by_all_of_its_primaries(cache_servers: Callable[[str], Any]) -> None:
    cluster: ValkeyCluster = cache_servers("cluster-8")
    cache = Cache(settings_of(cluster))
    before = cache.replication_ids()
    assert len(before.split(",")) == 3
    cluster.nodes[1].kill()
    until(lambda: len(cache.replication_ids().split(",")) == 2)
    assert set(cache.replication_ids().split(",")) < set(before.split(","))
    cluster.nodes[1].start()
    until(lambda: same_or_none(cache, before) is False)


def same_or_none(cache: Cache, before: str) -> bool | None:
    try:
        return cache.replication_ids() == before
    except CacheUnavailable:
        return None


# Confirmed by replicas


def confirmed(server: ValkeyServer) -> CacheSettings:
    return replace(settings_of(server), replicas=1)


def test_a_write_is_done_only_once_the_replica_confirms(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(confirmed(pair.primary))
    assert cache.invalidate_tags(["products:1"]) == 0
    pair.replica.freeze()
    with redis.Redis.from_url(pair.primary.url) as client:
        client.set(tag_key("products:1"), b"version")
    monkeypatch.setattr(exchange, "_CONFIRM_MS", CONFIRM_MS)
    with pytest.raises(CacheUnavailable) as caught:
        cache.invalidate_tags(["products:1"])
    assert isinstance(caught.value.__cause__, NotReplicated)
    pair.replica.thaw()
    until(lambda: is_confirmed(cache))


def is_confirmed(cache: Cache) -> bool:
    try:
        cache.invalidate_tags(["products:1"])
    except CacheUnavailable:
        return False
    return True


def test_what_was_confirmed_stays_out_after_a_failover(pair: Pair) -> None:
    with redis.Redis.from_url(pair.primary.url) as client:
        client.set(tag_key("products:1"), b"version")
    until(lambda: version(pair.replica, "products:1") == b"version")
    Cache(confirmed(pair.primary)).invalidate_tags(["products:1"])
    pair.fail_over()
    assert version(pair.replica, "products:1") is None


def test_without_the_wait_nobody_notices_that_the_replica_is_away(pair: Pair) -> None:
    """As the invalidate function does it, which replays instead."""
    pair.replica.freeze()
    with redis.Redis.from_url(pair.primary.url) as client:
        client.set(tag_key("products:1"), b"version")
    assert Cache(settings_of(pair.primary)).invalidate_tags(["products:1"]) == 1


def test_each_primary_of_a_cluster_is_asked_to_confirm(
    cache_servers: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster: ValkeyCluster = cache_servers("cluster-8")
    tags = ["orders", "products", "customers", "order_items", "products:1", "products:2"]
    assert {cluster.owner(tag_key(tag)).port for tag in tags} == {node.port for node in cluster.nodes}
    cache = Cache(replace(settings_of(cluster), replicas=1))
    monkeypatch.setattr(exchange, "_CONFIRM_MS", CONFIRM_MS)
    with pytest.raises(CacheUnavailable) as caught:  # they have none
        cache.invalidate_tags(tags)
    assert isinstance(caught.value.__cause__, NotReplicated)

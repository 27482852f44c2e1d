"""A command says "done" once the replicas of the cache have confirmed, also replicas that nobody named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from bench.fault_proxy import fault_proxy
from cacheaside.drivers.cache import exchange
from cacheaside.drivers.cache.tags import ConfirmedTagCache, TagCache
from cacheaside.errors import CacheUnavailable
from cacheaside.reading.keys import tag_key
from cacheaside.settings import CacheMode
from local.servers.processes import HOST, free_port
from local.servers.valkey import ValkeyServer
from local.servers.valkey_cluster import SETTINGS, ValkeyCluster
from tests.component.support.cache_servers import settings_of
from tests.component.support.outages import frozen
from tests.component.support.replicated_cache import Pair, replicated_pair, version
from tests.support.wait_until import wait_until

CONFIRM_MS = exchange._CONFIRM_MS
TAG = "products:1"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with replicated_pair(tmp_path) as pair:
        yield pair


@pytest.fixture
def production_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replicas that do not answer cost as little time as in production."""
    monkeypatch.setattr(exchange, "_CONFIRM_MS", CONFIRM_MS)


def is_confirmed(cache: TagCache, *tags: str) -> bool:
    try:
        cache.invalidate_tags(tags or [TAG])
    except CacheUnavailable:
        return False
    return True


@pytest.mark.usefixtures("production_limit")
@pytest.mark.parametrize("earlier", [0, 1], ids=["its first write", "a later write"])
@pytest.mark.parametrize("named", [0, 1])
def test_no_write_is_done_while_a_replica_does_not_confirm(pair: Pair, named: int, earlier: int) -> None:
    cache = ConfirmedTagCache(settings_of(pair.primary)._replace(replicas=named))
    for _ in range(earlier):
        wait_until(lambda: is_confirmed(cache))
    with frozen(pair.replica):
        assert not is_confirmed(cache)
        assert not is_confirmed(cache)
        assert TagCache(settings_of(pair.primary)).invalidate_tags([TAG]) == 0, "a sweep waits for no replica"
    wait_until(lambda: is_confirmed(cache))


def test_a_confirmed_invalidation_survives_a_failover(pair: Pair) -> None:
    with redis.Redis.from_url(pair.primary.url) as client:
        client.set(tag_key(TAG), b"version")
    wait_until(lambda: version(pair.replica, TAG) == b"version")
    assert ConfirmedTagCache(settings_of(pair.primary)).invalidate_tags([TAG]) == 1
    pair.fail_over()
    assert version(pair.replica, TAG) is None


@pytest.mark.usefixtures("production_limit")
def test_a_tag_that_another_client_has_deleted_is_not_confirmed_before_the_replica_has_that(pair: Pair) -> None:
    with redis.Redis.from_url(pair.primary.url) as client, frozen(pair.replica):
        client.set(tag_key(TAG), b"version")
        client.delete(tag_key(TAG))
        assert not is_confirmed(ConfirmedTagCache(settings_of(pair.primary)))


@pytest.mark.usefixtures("production_limit")
def test_fewer_replicas_than_the_settings_say_are_too_few(pair: Pair) -> None:
    cache = ConfirmedTagCache(settings_of(pair.primary)._replace(replicas=2))
    assert not is_confirmed(cache)
    wait_until(lambda: is_confirmed(ConfirmedTagCache(settings_of(pair.primary))))


@pytest.mark.usefixtures("production_limit")
def test_a_replica_that_is_gone_is_not_waited_for(pair: Pair) -> None:
    cache = ConfirmedTagCache(settings_of(pair.primary))
    wait_until(lambda: is_confirmed(cache))
    pair.replica.kill()
    wait_until(lambda: is_confirmed(cache))


@pytest.mark.usefixtures("production_limit")
def test_a_replica_that_joins_later_must_confirm_too(pair: Pair, tmp_path: Path) -> None:
    cache = ConfirmedTagCache(settings_of(pair.primary))
    wait_until(lambda: is_confirmed(cache))
    with ValkeyServer(tmp_path / "second") as second, redis.Redis.from_url(second.url) as client:
        client.replicaof(HOST, str(pair.primary.port))
        wait_until(lambda: client.info("replication")["master_link_status"] == "up")
        wait_until(lambda: is_confirmed(cache))
        with frozen(second):
            assert not is_confirmed(cache)


def test_an_invalidation_is_one_exchange_unless_there_are_more_replicas_than_the_last_time(pair: Pair) -> None:
    with fault_proxy(pair.primary.url) as (proxy, url):
        cache = ConfirmedTagCache(settings_of(pair.primary)._replace(url=url))

        def exchanges() -> int:
            before = proxy.requests
            cache.invalidate_tags([TAG, "orders"])
            return proxy.requests - before

        assert [exchanges() for _ in range(3)] == [2, 1, 1]
        pair.replica.kill()
        with redis.Redis.from_url(pair.primary.url) as client:
            wait_until(lambda: client.info("replication")["connected_slaves"] == 0)
            assert exchanges() == 1
            waits = client.info("commandstats")["cmdstat_wait"]["calls"]
            assert exchanges() == 1
            assert client.info("commandstats")["cmdstat_wait"]["calls"] == waits, "without replicas there is no WAIT"


def test_a_command_tells_whether_replicas_that_the_stack_was_not_told_of_have_confirmed(
    pair: Pair, start_api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    api, price = start_api(cache_url=pair.primary.url), {"id": 1, "price": 3}
    assert api.post("/commands/set_price", price).json["invalidation"] == "done"
    monkeypatch.setattr(exchange, "_CONFIRM_MS", CONFIRM_MS)
    with frozen(pair.replica):
        assert api.post("/commands/set_price", price).json["invalidation"] == "pending"


# In a cluster, each server has replicas of its own

TAGS = ["orders", "products", "customers", "order_items", "products:1", "products:2"]


@pytest.mark.usefixtures("production_limit")
def test_each_primary_of_a_cluster_is_asked_to_confirm(cache_servers: Callable[[str], Any]) -> None:
    cluster: ValkeyCluster = cache_servers("cluster-8")
    assert {cluster.owner(tag_key(tag)).port for tag in TAGS} == {node.port for node in cluster.nodes}
    assert not is_confirmed(ConfirmedTagCache(settings_of(cluster)._replace(replicas=1)), *TAGS)
    wait_until(lambda: is_confirmed(ConfirmedTagCache(settings_of(cluster)), *TAGS))


@pytest.mark.usefixtures("production_limit")
def test_a_replica_of_one_primary_must_confirm_and_the_others_are_not_held_up(tmp_path: Path) -> None:
    member = {**SETTINGS, "cluster-port": str(free_port())}
    with ValkeyCluster(tmp_path) as cluster, ValkeyServer(tmp_path / "replica", settings=member) as replica:
        primary = cluster.owner(tag_key(TAG))
        others = [tag for tag in TAGS if cluster.owner(tag_key(tag)) is not primary]
        with redis.Redis.from_url(replica.url) as client, redis.Redis.from_url(primary.url) as owner:
            bus = owner.config_get("cluster-port")["cluster-port"]
            client.execute_command("CLUSTER", "MEET", HOST, primary.port, bus)
            name = owner.execute_command("CLUSTER", "MYID")
            wait_until(lambda: name in client.execute_command("CLUSTER", "NODES"))
            client.execute_command("CLUSTER", "REPLICATE", name)
            wait_until(lambda: client.info("replication")["master_link_status"] == "up")
        cache = ConfirmedTagCache(settings_of(cluster))
        wait_until(lambda: is_confirmed(cache, *TAGS))
        with frozen(replica):
            wait_until(lambda: is_confirmed(cache, *others))
            assert not is_confirmed(cache, *TAGS)


def test_a_slot_that_moves_is_confirmed_by_the_server_that_takes_it(tmp_path: Path) -> None:
    with ValkeyCluster(tmp_path) as cluster:
        to = next(node for node in cluster.nodes if node is not cluster.owner(tag_key(TAG)))
        cache = ConfirmedTagCache(settings_of(cluster))
        assert is_confirmed(cache, *TAGS)
        with cluster.moving(tag_key(TAG), to):
            assert is_confirmed(cache, *TAGS)
        assert is_confirmed(cache, *TAGS)


def test_a_serverless_cache_is_not_asked_because_it_replicates_before_it_answers(
    cache_servers: Callable[[str], Any],
) -> None:
    cluster: ValkeyCluster = cache_servers("cluster-8")
    cache = ConfirmedTagCache(settings_of(cluster)._replace(mode=CacheMode.SERVERLESS, replicas=1))
    assert is_confirmed(cache, *TAGS)

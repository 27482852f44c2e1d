"""Cases that only a cluster has: slots that move, and nodes that fail one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cacheaside.drivers.cache.cache import Cache
from cacheaside.reading.keys import Keys, tag_key
from cacheaside.reading.steps import Look, Looked, Release, Store
from local.servers.valkey_cluster import ValkeyCluster
from tests.component.support.cache_driver import acquire_step, assert_unavailable_soon, retry_until_available
from tests.component.support.cache_servers import client_of, settings_of
from tests.component.support.outages import frozen, killed


@pytest.fixture(scope="module")
def cluster(cache_servers: Callable[[str], Any]) -> ValkeyCluster:
    cluster: ValkeyCluster = cache_servers("cluster-8")
    return cluster


@pytest.fixture
def cache(cluster: ValkeyCluster) -> Cache:
    with client_of(cluster) as client:
        client.flushall()
    return Cache(settings_of(cluster))


def keys_on(cluster: ValkeyCluster, node: int) -> Keys:
    """Return the keys of an answer without tags, in a slot of this node."""
    candidates = (Keys("q", f"cacheaside:entry:{{{n}}}", f"cacheaside:lease:{{{n}}}", ()) for n in range(1000))
    return next(keys for keys in candidates if cluster.owner(keys.entry) is cluster.nodes[node])


def test_a_slot_that_moves_is_followed(cluster: ValkeyCluster, cache: Cache) -> None:
    keys = Keys("q", "cacheaside:entry:{moving}", "cacheaside:lease:{moving}", (tag_key("orders"),))
    for token in (b"there", b"and back"):
        cache.acquire(acquire_step(token, keys))
        cache.store(Store(keys, token, b"answer", 60_000))
        tags = cache.acquire(acquire_step(token, keys)).looked.tags
        to = next(node for node in cluster.nodes if node is not cluster.owner(keys.entry))
        with cluster.moving(keys.entry, to):
            assert cache.look(Look(keys)) == Looked(b"answer", token, tags), "redirected by ASK"
        assert cache.look(Look(keys)).lease == token, "redirected by MOVED"
        cache.release(Release(keys, token))


def test_read_that_a_moving_slot_cannot_answer_does_not_wait(cluster: ValkeyCluster, cache: Cache) -> None:
    """The entry has moved and there is no lease, so a lease may be on either node (TRYAGAIN)."""
    keys = keys_on(cluster, 0)
    cache.acquire(acquire_step(b"mine", keys))
    cache.store(Store(keys, b"mine", b"answer", 60_000))
    for to in (cluster.nodes[1], cluster.nodes[0]):
        with cluster.moving(keys.entry, to):
            assert_unavailable_soon(lambda: cache.look(Look(keys)))
        assert cache.look(Look(keys)).entry == b"answer"


def test_a_killed_primary_makes_only_its_own_slots_unavailable(cluster: ValkeyCluster, cache: Cache) -> None:
    lost, kept = keys_on(cluster, 0), keys_on(cluster, 1)
    for keys in (lost, kept):
        assert cache.acquire(acquire_step(b"mine", keys)).won
    with killed(cluster.nodes[0]):
        assert_unavailable_soon(lambda: cache.look(Look(lost)))
        assert cache.look(Look(kept)).lease == b"mine"
        assert_unavailable_soon(cache.ping)
        assert cache.look(Look(kept)).lease == b"mine"
    assert retry_until_available(lambda: cache.acquire(acquire_step(b"back", lost)).won)


def test_a_frozen_primary_makes_only_its_own_slots_unavailable(cluster: ValkeyCluster, cache: Cache) -> None:
    lost, kept = keys_on(cluster, 2), keys_on(cluster, 1)
    for keys in (lost, kept):
        assert cache.acquire(acquire_step(b"mine", keys)).won
    with frozen(cluster.nodes[2]):
        for _ in range(2):
            assert_unavailable_soon(lambda: cache.look(Look(lost)))
            assert cache.look(Look(kept)).lease == b"mine"
    assert retry_until_available(lambda: cache.look(Look(lost)).lease) == b"mine"

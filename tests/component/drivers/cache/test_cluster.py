"""What there is only in a cluster: slots that move, and nodes that go alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cacheaside.drivers.cache.cache import Cache
from cacheaside.reading.keys import Keys, tag_key
from cacheaside.reading.steps import Look, Looked, Release, Store
from local.servers.valkey_cluster import ValkeyCluster
from tests.component.support.cache_calls import VERSIONS, eventually, take, unavailable_soon
from tests.component.support.cache_servers import client_of, settings_of


@pytest.fixture(scope="module")
def three(cache_servers: Callable[[str], Any]) -> ValkeyCluster:
    """The cluster, for what there is only there."""
    cluster: ValkeyCluster = cache_servers("cluster-8")
    return cluster


@pytest.fixture
def clustered(three: ValkeyCluster) -> Cache:
    with client_of(three) as client:
        client.flushall()
    return Cache(settings_of(three))


def keys_on(cluster: ValkeyCluster, node: int) -> Keys:
    """Keys of an answer without tags that live on one node."""
    candidates = (Keys(f"cacheaside:entry:{{{n}}}", f"cacheaside:lease:{{{n}}}", ()) for n in range(1000))
    return next(keys for keys in candidates if cluster.owner(keys.entry) is cluster.nodes[node])


def test_a_slot_that_moves_is_followed(three: ValkeyCluster, clustered: Cache) -> None:
    keys = Keys("cacheaside:entry:{moving}", "cacheaside:lease:{moving}", (tag_key("orders"),))
    for token in (b"there", b"and back"):
        clustered.acquire(take(token, keys))
        clustered.store(Store(keys, token, b"answer", 60_000))
        clustered.acquire(take(token, keys))
        to = next(node for node in three.nodes if node is not three.owner(keys.entry))
        with three.moving(keys.entry, to):
            assert clustered.look(Look(keys)) == Looked(b"answer", token, VERSIONS[:1]), "asked where the slot goes"
        assert clustered.look(Look(keys)).lease == token, "found where the slot is"
        clustered.release(Release(keys, token))


def test_what_a_moving_slot_cannot_tell_is_not_waited_for(three: ValkeyCluster, clustered: Cache) -> None:
    """An entry that went ahead, and no lease: it may be on either side (TRYAGAIN)."""
    keys = keys_on(three, 0)
    clustered.acquire(take(b"mine", keys))
    clustered.store(Store(keys, b"mine", b"answer", 60_000))
    for to in (three.nodes[1], three.nodes[0]):
        with three.moving(keys.entry, to):
            unavailable_soon(lambda: clustered.look(Look(keys)))
        assert clustered.look(Look(keys)).entry == b"answer"


def test_a_primary_that_is_killed_takes_only_its_own_slots_with_it(three: ValkeyCluster, clustered: Cache) -> None:
    lost, kept = keys_on(three, 0), keys_on(three, 1)
    for keys in (lost, kept):
        assert clustered.acquire(take(b"mine", keys)).won
    three.nodes[0].kill()
    try:
        unavailable_soon(lambda: clustered.look(Look(lost)))
        assert clustered.look(Look(kept)).lease == b"mine"
        unavailable_soon(clustered.ping)
        assert clustered.look(Look(kept)).lease == b"mine"
    finally:
        three.nodes[0].start()
    assert eventually(lambda: clustered.acquire(take(b"back", lost)).won)


def test_a_primary_that_is_frozen_takes_only_its_own_slots_with_it(three: ValkeyCluster, clustered: Cache) -> None:
    lost, kept = keys_on(three, 2), keys_on(three, 1)
    for keys in (lost, kept):
        assert clustered.acquire(take(b"mine", keys)).won
    three.nodes[2].freeze()
    try:
        for _ in range(2):
            unavailable_soon(lambda: clustered.look(Look(lost)))
            assert clustered.look(Look(kept)).lease == b"mine"
    finally:
        three.nodes[2].thaw()
    assert eventually(lambda: clustered.look(Look(lost)).lease) == b"mine"

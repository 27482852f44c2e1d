"""Keys that hold no value of ours: each step does its work all the same, and what is none is replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.cache.tags import ConfirmedTagCache
from cacheaside.reading.entry import TOKEN_BYTES
from cacheaside.reading.keys import tag_key
from cacheaside.reading.steps import Look, Release, Store
from local.servers.valkey import ValkeyServer
from tests.component.support.cache_driver import KEYS, TAGS, acquire_step
from tests.component.support.cache_servers import client_of, settings_of
from tests.support.wait_until import wait_until

Put = Callable[[Any, str], object]

MINE, THEIRS = b"mine".ljust(16), b"theirs".ljust(16)

NOT_A_TOKEN: dict[str, Put] = {
    "list": lambda client, key: client.rpush(key, "a", "b"),
    "hash": lambda client, key: client.hset(key, "a", "b"),
    "set": lambda client, key: client.sadd(key, "a"),
    "sorted set": lambda client, key: client.zadd(key, {"a": 1}),
    "stream": lambda client, key: client.xadd(key, {"a": "b"}),
    "empty": lambda client, key: client.set(key, b""),
    "short": lambda client, key: client.set(key, b"short", px=60_000),
    "long": lambda client, key: client.set(key, b"x" * 17, px=60_000),
    "huge": lambda client, key: client.set(key, bytes(1_000_000), px=60_000),
    "number": lambda client, key: client.set(key, 1),
}
NOT_A_LEASE: dict[str, Put] = {
    **NOT_A_TOKEN,
    "without expiry": lambda client, key: client.set(key, THEIRS),
    "for a day": lambda client, key: client.set(key, THEIRS, px=86_400_000),
}


@pytest.mark.parametrize("put", NOT_A_LEASE.values(), ids=NOT_A_LEASE)
def test_lease_that_is_none_does_not_keep_others_out(cache: Cache, plain_client: Any, put: Put) -> None:
    put(plain_client, KEYS.lease)
    acquired = cache.acquire(acquire_step(MINE))
    assert (acquired.won, acquired.looked.lease) == (True, MINE)
    assert 0 < plain_client.pttl(KEYS.lease) <= 60_000


def test_lease_that_is_held_is_not_taken_away_nor_shortened(cache: Cache, plain_client: Any) -> None:
    cache.acquire(acquire_step(THEIRS))
    before_ms = plain_client.pttl(KEYS.lease)
    acquired = cache.acquire(acquire_step(MINE))
    assert (acquired.won, acquired.looked.lease) == (False, THEIRS)
    assert 1_000 < plain_client.pttl(KEYS.lease) <= before_ms


@pytest.mark.parametrize("put", NOT_A_TOKEN.values(), ids=NOT_A_TOKEN)
def test_tag_that_is_no_version_gets_one_and_the_others_keep_theirs(cache: Cache, plain_client: Any, put: Put) -> None:
    plain_client.set(KEYS.tags[0], b"k" * 16, px=60_000)
    put(plain_client, KEYS.tags[1])
    found = cache.acquire(acquire_step(MINE)).looked.tags
    assert (found[0], [len(version or b"") for version in found]) == (b"k" * 16, [TOKEN_BYTES] * len(TAGS))
    assert cache.look(Look(KEYS)).tags == found
    assert 0 < plain_client.pttl(KEYS.tags[1]) <= 60_000


@pytest.mark.parametrize("put", NOT_A_TOKEN.values(), ids=NOT_A_TOKEN)
def test_entry_key_of_any_type_is_read_as_a_value_or_none_and_replaced(
    cache: Cache, plain_client: Any, put: Put
) -> None:
    put(plain_client, KEYS.entry)
    acquired = cache.acquire(acquire_step(MINE))
    assert acquired.looked.entry == cache.look(Look(KEYS)).entry
    assert cache.store(Store(KEYS, MINE, b"answer", 60_000))
    assert cache.look(Look(KEYS)).entry == b"answer"
    assert 0 < plain_client.pttl(KEYS.entry) <= 60_000


@pytest.mark.parametrize("put", NOT_A_LEASE.values(), ids=NOT_A_LEASE)
def test_holder_whose_lease_was_overwritten_stores_nothing_and_gets_no_error(
    cache: Cache, plain_client: Any, put: Put
) -> None:
    cache.acquire(acquire_step(MINE))
    plain_client.delete(KEYS.lease)
    put(plain_client, KEYS.lease)
    assert not cache.store(Store(KEYS, MINE, b"answer", 60_000))
    cache.release(Release(KEYS, MINE))
    assert plain_client.exists(KEYS.lease)


@pytest.mark.parametrize("put", NOT_A_TOKEN.values(), ids=NOT_A_TOKEN)
def test_tag_of_any_type_is_invalidated_and_so_are_those_beside_it(cache: Cache, plain_client: Any, put: Put) -> None:
    cache.acquire(acquire_step(MINE))
    plain_client.delete(KEYS.tags[1])
    put(plain_client, KEYS.tags[1])
    assert cache.invalidate_tags(TAGS) == len(TAGS)
    assert [plain_client.exists(tag) for tag in KEYS.tags] == [0] * len(TAGS)


def test_commands_without_any_script_loaded_beforehand_heal_too(cache: Cache, plain_client: Any) -> None:
    plain_client.rpush(KEYS.lease, "a")
    plain_client.rpush(tag_key(TAGS[0]), "a")
    plain_client.script_flush()
    acquired = cache.acquire(acquire_step(MINE))
    assert acquired.won
    assert [len(version or b"") for version in acquired.looked.tags] == [TOKEN_BYTES] * len(TAGS)


def test_tags_of_any_type_are_invalidated_and_a_replica_confirms_it(tmp_path: Path) -> None:
    """A list under one tag must not keep a command from "done", nor the outbox from being drained."""
    with ValkeyServer(tmp_path / "primary") as primary, ValkeyServer(tmp_path / "replica") as replica:
        with client_of(replica) as client:
            client.replicaof("127.0.0.1", str(primary.port))
        with client_of(primary) as client:
            wait_until(lambda: client.wait(1, 100) == 1)
            for tag, put in NOT_A_TOKEN.items():
                put(client, tag_key(tag))
        cache = ConfirmedTagCache(settings_of(primary))
        assert cache.invalidate_tags([*NOT_A_TOKEN, "missing"]) == len(NOT_A_TOKEN)
        for server in (primary, replica):
            with client_of(server) as client:
                wait_until(lambda: client.keys("*") == [])

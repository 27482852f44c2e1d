"""Each step of the read path, on Valkey 8, on Valkey 9 and on a cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis
from redis.crc import key_slot

from cacheaside.catalogue.policy import FAILURE_MS
from cacheaside.drivers.cache.cache import Cache
from cacheaside.reading.entry import TOKEN_BYTES
from cacheaside.reading.steps import Look, Looked, Release, Renew, Store
from local.servers.valkey_cluster import ValkeyCluster
from tests.component.support.cache_driver import KEYS, TAGS, acquire_step

MINE, THEIRS = b"mine".ljust(16), b"theirs".ljust(16)


def test_nothing_is_found_in_an_empty_cache(cache: Cache) -> None:
    assert cache.look(Look(KEYS)) == Looked(None, None, (None,) * len(TAGS))


def test_of_two_clients_one_gets_the_lease_and_the_other_sees_it(new_cache: Callable[[], Cache]) -> None:
    first, second = new_cache().acquire(acquire_step(MINE)), new_cache().acquire(acquire_step(THEIRS))
    assert (first.won, second.won) == (True, False)
    assert first.looked == second.looked == Looked(None, MINE, first.looked.tags)
    assert [len(version or b"") for version in first.looked.tags] == [TOKEN_BYTES] * len(TAGS)


def test_of_many_clients_at_once_one_gets_the_lease(new_cache: Callable[[], Cache]) -> None:
    start = threading.Barrier(8)

    def race(number: int) -> bool:
        cache = new_cache()
        cache.ping()
        start.wait(60)
        return cache.acquire(acquire_step(bytes([number]))).won

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(race, range(8))) == [False] * 7 + [True]


def test_store_makes_the_entry_visible_and_releases_the_lease(cache: Cache) -> None:
    captured = cache.acquire(acquire_step(MINE)).looked.tags
    assert cache.store(Store(KEYS, MINE, b"answer", 60_000))
    assert cache.look(Look(KEYS)) == Looked(b"answer", None, captured)


def test_store_is_refused_after_the_lease_has_moved_on(cache: Cache, plain_client: Any) -> None:
    captured = cache.acquire(acquire_step(b"slow")).looked.tags
    plain_client.delete(KEYS.lease)
    cache.acquire(acquire_step(b"next"))
    assert not cache.store(Store(KEYS, b"slow", b"old answer", 60_000))
    assert cache.look(Look(KEYS)) == Looked(None, b"next", captured)


def test_store_is_refused_without_any_lease(cache: Cache) -> None:
    assert not cache.store(Store(KEYS, MINE, b"answer", 60_000))
    assert cache.look(Look(KEYS)).entry is None


def test_only_the_holder_can_release_a_lease(cache: Cache) -> None:
    cache.acquire(acquire_step(MINE))
    cache.release(Release(KEYS, THEIRS))
    assert cache.look(Look(KEYS)).lease == MINE
    cache.release(Release(KEYS, MINE))
    assert cache.look(Look(KEYS)).lease is None


def test_holder_prolongs_its_lease_and_no_other(cache: Cache, plain_client: Any) -> None:
    cache.acquire(acquire_step(MINE))
    plain_client.pexpire(KEYS.lease, 20_000)
    assert cache.renew(Renew(KEYS, THEIRS)) is False
    assert plain_client.pttl(KEYS.lease) <= 20_000
    assert cache.renew(Renew(KEYS, MINE)) is True
    assert plain_client.pttl(KEYS.lease) > 20_000


def test_lease_that_has_ended_does_not_begin_again(cache: Cache, plain_client: Any) -> None:
    assert cache.renew(Renew(KEYS, MINE)) is False
    assert not plain_client.exists(KEYS.lease)


def test_failure_is_left_by_the_holder_alone_and_replaced_by_the_next_one(cache: Cache, plain_client: Any) -> None:
    cache.acquire(acquire_step(MINE))
    cache.release(Release(KEYS, THEIRS, b"not theirs to leave"))
    assert cache.look(Look(KEYS)).lease == MINE
    cache.release(Release(KEYS, MINE, b"it failed"))
    cache.release(Release(KEYS, MINE, b"sent twice"))
    assert cache.look(Look(KEYS)).lease == b"it failed"
    assert 0 < plain_client.pttl(KEYS.lease) <= FAILURE_MS
    assert cache.acquire(acquire_step(THEIRS)).won


def test_a_tag_that_has_a_version_keeps_it(cache: Cache, plain_client: Any) -> None:
    plain_client.set(KEYS.tags[1], b"k" * 16)
    found = cache.acquire(acquire_step(MINE)).looked.tags
    assert (found[1], len(set(found))) == (b"k" * 16, len(TAGS))


def test_call_that_is_sent_twice_does_not_bring_back_a_version_that_was_invalidated(cache: Cache) -> None:
    """A reply is lost, and the driver sends again. Between the two, another fill captured the version."""
    captured = cache.acquire(acquire_step(MINE)).looked.tags
    cache.invalidate_tags(TAGS)
    again = cache.acquire(acquire_step(MINE)).looked.tags
    assert not set(captured) & set(again)


def test_lease_tags_and_entry_expire(cache: Cache, plain_client: Any) -> None:
    cache.acquire(acquire_step(MINE, tag_ms=90_000))
    assert 0 < plain_client.pttl(KEYS.lease) <= 60_000
    assert all(60_000 < plain_client.pttl(tag) <= 90_000 for tag in KEYS.tags)
    cache.store(Store(KEYS, MINE, b"answer", 20_000))
    assert 0 < plain_client.pttl(KEYS.entry) <= 20_000


def test_the_lifetime_of_a_tag_is_lengthened_never_shortened(cache: Cache, plain_client: Any) -> None:
    plain_client.set(KEYS.tags[0], b"s" * 16, px=1_000)
    plain_client.set(KEYS.tags[1], b"l" * 16, px=900_000)
    cache.acquire(acquire_step(MINE, tag_ms=60_000))
    assert plain_client.pttl(KEYS.tags[0]) > 30_000
    assert plain_client.pttl(KEYS.tags[1]) > 600_000


def test_invalidating_counts_the_tags_that_had_a_version(cache: Cache) -> None:
    captured = cache.acquire(acquire_step(MINE)).looked.tags
    assert cache.invalidate_tags([*TAGS[:3], "unknown"]) == 3
    assert cache.look(Look(KEYS)).tags == (None, None, None, captured[3])
    assert cache.invalidate_tags(TAGS[:3]) == 0


def test_invalidating_an_entry_also_refuses_the_store_of_a_load_in_flight(cache: Cache) -> None:
    cache.acquire(acquire_step(MINE))
    cache.store(Store(KEYS, MINE, b"answer", 60_000))
    cache.acquire(acquire_step(b"again"))
    assert cache.invalidate_entry(KEYS.entry, KEYS.lease)
    assert not cache.store(Store(KEYS, b"again", b"answer", 60_000))
    assert not cache.invalidate_entry(KEYS.entry, KEYS.lease)


def test_entry_and_lease_share_a_slot_and_tags_do_not() -> None:
    assert key_slot(KEYS.entry.encode()) == key_slot(KEYS.lease.encode())
    assert len({key_slot(tag.encode()) for tag in KEYS.tags}) > 1


def test_scripts_are_loaded_again_after_a_flush(cache: Cache, plain_client: Any) -> None:
    for _ in range(2):
        plain_client.script_flush()
        cache.acquire(acquire_step(MINE))
        assert cache.store(Store(KEYS, MINE, b"answer", 60_000))


def test_a_connection_that_the_server_has_closed_is_replaced_without_an_error(cache: Cache, cache_server: Any) -> None:
    cache.acquire(acquire_step(MINE))
    for node in cache_server.nodes if isinstance(cache_server, ValkeyCluster) else [cache_server]:
        with redis.Redis.from_url(node.url) as client:
            client.client_kill_filter(_type="normal", skipme=True)
    assert cache.store(Store(KEYS, MINE, b"answer", 60_000))

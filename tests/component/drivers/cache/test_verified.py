"""The driver of the verifier, on each kind of cache: which entries were read lately."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cacheaside.drivers.cache import verified
from cacheaside.drivers.cache.verified import VerifiedCache
from cacheaside.reading.keys import ENTRY, tag_key
from cacheaside.settings import Authentication, CacheMode, CacheSettings
from tests.component.support.cache_driver import assert_unavailable_soon
from tests.component.support.cache_servers import CacheServer, settings_of
from tests.component.support.fake_server import fixed_reply_server


@pytest.fixture
def cache(cache_server: CacheServer, plain_client: Any) -> VerifiedCache:
    return VerifiedCache(settings_of(cache_server))


def store(client: Any, key: str, idle_s: int = 0, lifetime_ms: int = 60_000) -> str:
    client.set(key, b"value")
    client.restore(key, lifetime_ms, client.dump(key), replace=True, idletime=idle_s)
    return key


def entry(number: int) -> str:
    return f"{ENTRY}{{query:{number}}}"


def test_only_entries_that_were_read_in_time_are_named(cache: VerifiedCache, plain_client: Any) -> None:
    read = [store(plain_client, entry(number), idle_s=2 * number) for number in range(100)][:46]
    store(plain_client, tag_key("orders"))
    store(plain_client, "another-application")
    found, complete = cache.recently_read(90)
    # Time passes meanwhile: half of the entries leave room for 45 s.
    assert set(read[:23]) <= found.keys() <= set(read)
    assert complete


def test_asking_does_not_count_as_a_read(cache: VerifiedCache, plain_client: Any) -> None:
    key = store(plain_client, entry(1), idle_s=60)
    cache.recently_read(90)
    assert plain_client.object("idletime", key) >= 60


def test_version_changes_with_each_store_and_not_with_a_read(cache: VerifiedCache, plain_client: Any) -> None:
    key = store(plain_client, entry(1))
    first, _ = cache.recently_read(90)
    cache.values([key])
    assert cache.recently_read(90)[0] == first
    store(plain_client, key, lifetime_ms=60_001)
    assert cache.recently_read(90)[0] != first


@pytest.fixture
def keys(plain_client: Any, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """More keys than one SCAN returns."""
    monkeypatch.setattr(verified, "_KEYS_PER_SCAN", 10)
    return {store(plain_client, entry(number)) for number in range(300)}


def test_large_cache_is_named_in_several_calls_of_bounded_size(
    cache: VerifiedCache, keys: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verified, "_SCANS_AT_MOST_S", 0.0)
    calls, complete = zip(*(cache.recently_read(90) for _ in range(100)), strict=True)
    assert max(map(len, calls)) < 150
    assert {key for call in calls for key in call} == keys
    assert not any(complete)


def test_call_after_one_that_did_not_end_finds_all_keys_again(
    cache: VerifiedCache, keys: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as slow:
        slow.setattr(verified, "_SCANS_AT_MOST_S", 0.0)
        cache.recently_read(90)
    found, complete = cache.recently_read(90)
    assert (found.keys(), complete) == (keys, True)


def test_number_of_keys_is_not_limited(
    cache: VerifiedCache, plain_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verified, "_KEYS_PER_SCAN", 1)
    keys = {store(plain_client, entry(number)) for number in range(1000)}
    assert cache.recently_read(90)[0].keys() == keys


def test_values_of_missing_keys_and_of_other_types_are_none(cache: VerifiedCache, plain_client: Any) -> None:
    store(plain_client, entry(1))
    plain_client.rpush(entry(2), "a list")
    assert cache.values([entry(1), entry(2), entry(3)]) == [b"value", None, None]


@pytest.mark.parametrize(
    "reply", [b":42\r\n", b"*1\r\n*1\r\n:1\r\n", b"*2\r\n$1\r\n0\r\n*1\r\n:1\r\n", b"-ASK x\r\n", b"$-1\r\n"]
)
@pytest.mark.parametrize("mode", CacheMode)
def test_nonsense_makes_the_cache_unavailable(mode: CacheMode, reply: bytes) -> None:
    with fixed_reply_server(reply) as url:
        settings = CacheSettings(url=url, authentication=Authentication.URL, region="", name="", mode=mode)
        cache = VerifiedCache(settings)
        acts: tuple[Callable[[], object], ...] = (lambda: cache.recently_read(90), lambda: cache.values(["1", "2"]))
        for act in acts:
            assert_unavailable_soon(act)

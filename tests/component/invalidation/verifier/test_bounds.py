"""The limits of one verification, and servers that fail during it."""

from __future__ import annotations

import pytest

from cacheaside.errors import DatabaseUnavailable
from cacheaside.invalidation.verifier import Verification
from local.servers.valkey_cluster import ValkeyCluster
from tests.component.support.cache_servers import CacheServer
from tests.component.support.outages import frozen
from tests.component.support.timeouts import production_timeouts_of
from tests.component.support.verifier_shop import InterruptedDatabase, Shop


def test_loading_ends_after_five_seconds(shop: Shop) -> None:
    """Each load takes three seconds by the clock, so the third does not begin. A sample is from one server."""

    def take_three_seconds() -> None:
        shop.ahead_ms += 3_000

    for number in range(1, 40):
        shop.ask("gift", id=[str(number)])
    began_ms = shop.now_ms()
    shop.now_ms = lambda: began_ms
    shop.database = InterruptedDatabase(shop.database, take_three_seconds)
    assert shop.verify() == Verification(2)


def test_verification_ends_with_the_answers_checked_before_the_database_failed(shop: Shop) -> None:
    def fail_the_second() -> None:
        if shop.database.asked:
            raise DatabaseUnavailable("raised by the test")

    for number in range(1, 40):
        shop.ask("gift", id=[str(number)])
    shop.database = InterruptedDatabase(shop.database, fail_the_second)
    assert shop.verify() == Verification(1)


def test_unavailable_cache_ends_the_verification_without_a_log(
    shop: Shop, cache_server: CacheServer, caplog: pytest.LogCaptureFixture
) -> None:
    shop.ask("gift", id=["1"])
    with frozen(cache_server), production_timeouts_of("cache"):
        assert shop.verifier().verify() == Verification(0)
    assert caplog.messages == []


# The sample


def test_every_entry_is_sampled_within_a_bounded_number_of_calls(shop: Shop, cache_server: CacheServer) -> None:
    keys = {shop.ask("gift", id=[str(number)]) for number in range(1, 301)}
    servers = len(cache_server.nodes) if isinstance(cache_server, ValkeyCluster) else 1
    # Each answer also has a tag key, and a step of SCAN may return fewer than the 100 keys that it is asked for.
    calls = 2 * (2 * len(keys)) // 100 + servers
    found = {key for _ in range(calls) for key, _ in shop.cache.sample(1_000)}
    assert found == keys


def test_samples_are_small_and_differ(shop: Shop) -> None:
    for number in range(1, 301):
        shop.ask("gift", id=[str(number)])
    samples = [shop.cache.sample(5) for _ in range(60)]
    assert max(map(len, samples)) == 5
    assert len({key for sample in samples for key, _ in sample}) > 60

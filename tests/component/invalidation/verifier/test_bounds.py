"""How much is compared, and with what servers."""

from __future__ import annotations

import pytest

from cacheaside.errors import DatabaseUnavailable
from cacheaside.invalidation.verifier import Verification
from local.servers.valkey_cluster import ValkeyCluster
from tests.component.support.cache_servers import CacheServer
from tests.component.support.patience import impatience
from tests.component.support.verified_shop import Interrupted, Shop


def test_loading_ends_after_five_seconds(shop: Shop) -> None:
    """Each load takes three by the clock, and the third is not begun. On one server, or they are not in one sample."""

    def take_three_seconds() -> None:
        shop.later_ms += 3_000

    for number in range(1, 40):
        shop.ask("gift", id=[str(number)])
    began_ms = shop.now_ms()
    shop.now_ms = lambda: began_ms
    shop.database = Interrupted(shop.database, take_three_seconds)
    assert shop.verify() == Verification(2)


def test_database_that_goes_away_ends_it_with_what_was_checked(shop: Shop) -> None:
    def fail_the_second() -> None:
        if shop.database.asked:
            raise DatabaseUnavailable("the test says so")

    for number in range(1, 40):
        shop.ask("gift", id=[str(number)])
    shop.database = Interrupted(shop.database, fail_the_second)
    assert shop.verify() == Verification(1)


def test_cache_that_is_away_ends_it_quietly(
    shop: Shop, cache_server: CacheServer, caplog: pytest.LogCaptureFixture
) -> None:
    shop.ask("gift", id=["1"])
    cache_server.freeze()
    try:
        with impatience("cache"):
            assert shop.verifier().verify() == Verification(0)
    finally:
        cache_server.thaw()
    assert caplog.messages == []


# The sample


def test_every_entry_is_come_by_in_a_bounded_number_of_calls(shop: Shop, cache_server: CacheServer) -> None:
    keys = {shop.ask("gift", id=[str(number)]) for number in range(1, 301)}
    servers = len(cache_server.nodes) if isinstance(cache_server, ValkeyCluster) else 1
    # Each answer has a tag of its own beside it, and a step may come by fewer than the 100 keys that it is to look at.
    calls = 2 * (2 * len(keys)) // 100 + servers
    found = {key for _ in range(calls) for key, _ in shop.cache.sample(1_000)}
    assert found == keys


def test_sample_is_small_and_another_each_time(shop: Shop) -> None:
    for number in range(1, 301):
        shop.ask("gift", id=[str(number)])
    samples = [shop.cache.sample(5) for _ in range(60)]
    assert max(map(len, samples)) == 5
    assert len({key for sample in samples for key, _ in sample}) > 60

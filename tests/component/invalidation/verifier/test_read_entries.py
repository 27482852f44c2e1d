"""Which entries are compared: all that were read lately, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cacheaside.invalidation.verification import Verification
from tests.component.support.cache_servers import CacheServer, client_of
from tests.component.support.verifier_shop import InterruptedDatabase, Shop

AN_HOUR_S = 3600


def set_idle(client: Any, key: str, seconds: int) -> None:
    """Make the cache believe that `key` was last read so long ago."""
    value, expires_ms = client.dump(key), client.pexpiretime(key)
    client.restore(key, expires_ms, value, replace=True, absttl=True, idletime=seconds)


def test_stale_entry_that_is_read_each_minute_is_found_among_many_within_two_verifications(
    shop: Shop, plain_client: Any
) -> None:
    for number in range(1, 501):
        key = shop.ask("gift", id=[str(number)])
        set_idle(plain_client, key, 60 if number % 25 == 0 else AN_HOUR_S)
    shop.sql("select cacheaside.unwatch('gifts')")
    shop.sql("update gifts set price = 0 where id = 75")
    shop.database = InterruptedDatabase(shop.database)
    verifier = shop.verifier()
    stale = [*verifier.verify().stale, *verifier.verify().stale]
    assert [answer.parameters for answer in stale] == 2 * [{"id": 75}]
    assert len(shop.database.asked) <= 2 * 20


def test_entries_that_nobody_reads_cost_no_load(shop: Shop, plain_client: Any) -> None:
    for number in range(1, 11):
        set_idle(plain_client, shop.ask("gift", id=[str(number)]), 91)
    assert shop.verify() == Verification(0)


def test_verifier_does_not_take_its_own_reading_for_that_of_a_caller(shop: Shop, plain_client: Any) -> None:
    key = shop.ask("gift", id=["1"])
    verifier = shop.verifier()
    assert verifier.verify() == Verification(1)
    set_idle(plain_client, key, 60)
    assert verifier.verify() == Verification(1)
    assert plain_client.object("idletime", key) >= 60


def test_entry_that_was_stored_again_is_read_again(shop: Shop, plain_client: Any) -> None:
    """It may be stale although the one before it was right."""
    key = shop.ask("gift", id=["1"])
    verifier = shop.verifier()
    assert verifier.verify() == Verification(1)
    plain_client.delete(key)
    shop.sql("select cacheaside.unwatch('gifts')")
    shop.sql("update gifts set price = 0 where id = 1")
    shop.ask("gift", id=["1"])
    shop.sql("update gifts set price = 1 where id = 1")
    assert len(verifier.verify().stale) == 1


@pytest.fixture
def lfu(cache_server: CacheServer) -> Iterator[None]:
    """The policy keeps no time of the last read. In a cluster it is that of one node."""
    with client_of(cache_server) as client:
        client.config_set("maxmemory-policy", "volatile-lfu")
        yield
        client.config_set("maxmemory-policy", "volatile-lru")


def test_all_entries_are_compared_if_the_cache_does_not_tell_which_were_read(shop: Shop, lfu: None) -> None:
    for number in range(1, 41):
        shop.ask("gift", id=[str(number)])
    assert shop.verify() == Verification(40)

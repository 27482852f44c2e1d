"""The limits of one verification, and servers that fail during it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cacheaside.drivers.cache import verified
from cacheaside.errors import DatabaseUnavailable
from cacheaside.invalidation.verification import Verification
from tests.component.support.cache_servers import CacheServer
from tests.component.support.outages import frozen
from tests.component.support.timeouts import production_timeouts_of
from tests.component.support.verifier_shop import GIFT, InterruptedDatabase, Shop


def test_loading_ends_after_five_seconds(shop: Shop) -> None:
    """Each load takes three seconds by the clock, so the third does not begin."""

    def take_three_seconds() -> None:
        shop.ahead_ms += 3_000

    for number in range(1, 40):
        shop.ask("gift", id=[str(number)])
    began_ms = shop.now_ms()
    shop.now_ms = lambda: began_ms
    shop.database = InterruptedDatabase(shop.database, take_three_seconds)
    assert shop.verify() == Verification(2, unchecked=37)


def test_slow_cache_does_not_make_a_verification_endless(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each entry takes half a second by the clock to be read, and the database answers at once."""
    began_ms, values = shop.now_ms(), shop.cache.values

    def read_slowly(keys: Sequence[str]) -> list[bytes | None]:
        shop.ahead_ms += 250
        return values(keys)

    for number in range(1, 40):
        shop.ask("gift", id=[str(number)])
    shop.now_ms = lambda: began_ms
    monkeypatch.setattr(shop.cache, "values", read_slowly)
    assert shop.verify() == Verification(10, unchecked=29)
    assert shop.ahead_ms == 5_000


def test_verification_ends_with_the_answers_checked_before_the_database_failed(shop: Shop) -> None:
    def fail_the_second() -> None:
        if shop.database.asked:
            raise DatabaseUnavailable("raised by the test")

    for number in range(1, 40):
        shop.ask("gift", id=[str(number)])
    shop.database = InterruptedDatabase(shop.database, fail_the_second)
    assert shop.verify() == Verification(1, unchecked=38)


def test_unavailable_cache_ends_the_verification_without_a_log(
    shop: Shop, cache_server: CacheServer, caplog: pytest.LogCaptureFixture
) -> None:
    shop.ask("gift", id=["1"])
    with frozen(cache_server), production_timeouts_of("cache"):
        assert shop.verifier().verify() == Verification(0)
    assert caplog.messages == []


def test_at_most_two_hundred_entries_are_loaded_and_each_query_has_its_share(shop: Shop) -> None:
    """A single answer of one query is compared each time, however many answers another query has."""
    for number in range(1, 301):
        shop.ask("gift", id=[str(number)])
    shop.ask("cheap")
    shop.database = InterruptedDatabase(shop.database)
    assert shop.verify() == Verification(200, unchecked=101)
    assert len(shop.database.asked) == 200
    assert "price=9.99" in shop.database.asked


def test_scan_of_the_keys_that_did_not_end_is_reported(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 40):
        shop.ask("gift", id=[str(number)])
    monkeypatch.setattr(verified, "_KEYS_PER_SCAN", 1)
    monkeypatch.setattr(verified, "_SCANS_AT_MOST_S", 0.0)
    assert shop.verify().unchecked == 1


def test_query_that_fails_does_not_keep_others_from_being_compared(shop: Shop) -> None:
    shop.sql("create table lost (id integer)")
    shop.write_queries(lost=GIFT.replace("select id, price from gifts", "select id from lost").replace("gifts", "lost"))
    for number in range(1, 20):
        shop.ask("lost", id=[str(number)])
    shop.ask("gift", id=["1"])
    shop.sql("drop table lost")
    assert shop.verify() == Verification(1, unchecked=19)


@pytest.mark.parametrize(("chance", "compared"), [(0.5, 1), (0.7, 0)])
def test_load_beyond_the_limit_is_done_in_proportion_to_it(shop: Shop, chance: float, compared: int) -> None:
    """It took 8 s, and 5 s are allowed."""
    shop.ask("gift", tick_ms=8_000, id=["1"])
    shop.chance = lambda: chance
    assert shop.verify() == Verification(compared, unchecked=1 - compared)

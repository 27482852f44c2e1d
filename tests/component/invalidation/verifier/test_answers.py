"""The verifier on real servers, with entries that the read path has made: what is stale is found."""

from __future__ import annotations

import pytest

from cacheaside.invalidation.verifier import Verification
from tests.component.support.verified_shop import CALLS, GIFT, Interrupted, Shop


def test_right_answers_are_verified_whatever_was_asked(shop: Shop) -> None:
    shop.ask("gift", id=["1"])
    shop.ask("gift", id=["9999"])  # there is none
    shop.ask("cheap")
    shop.ask("cheap", price=["+1.50"], names=["a&b", "", "ø"])
    shop.database = Interrupted(shop.database)
    verifier = shop.verifier()
    verifications = [verifier.verify(at_most=100) for _ in range(CALLS)]
    asked = {"id=1", "id=9999", "price=9.99", "price=1.5&names=a%26b&names=&names=%C3%B8"}
    assert set(shop.database.asked) == asked
    assert sum(verification.checked for verification in verifications) == len(shop.database.asked)
    assert {verification.stale for verification in verifications} == {()}
    assert shop.slept == []


def test_answer_of_the_present_is_right_after_a_write(shop: Shop) -> None:
    shop.ask("gift", id=["1"])
    shop.sql("update gifts set price = 0 where id = 1")
    shop.drain()
    shop.ask("gift", id=["1"])
    assert shop.verify() == Verification(1)


# Stale answers


def test_write_that_nobody_recorded_is_found_with_the_age_of_the_answer(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    key = shop.ask("gift", id=["17"])
    shop.sql("select cacheaside.unwatch('gifts')")
    shop.sql("update gifts set price = 0 where id = 17")
    shop.later_ms = 90_000
    [stale] = shop.verify().stale
    assert (stale.query, stale.key, stale.query_string) == ("gift", key, "id=17")
    assert 90 <= stale.age_s < 120
    [line] = caplog.messages
    assert key in line
    assert "id=17" not in line + repr(stale), "what a caller has sent is not for logs"


@pytest.mark.parametrize("write", ["delete from gifts where id = 1", "insert into gifts values (301, 0)"])
def test_row_that_went_or_came_unseen_is_found(shop: Shop, write: str) -> None:
    shop.ask("gift", id=["1"])
    shop.ask("gift", id=["301"])
    shop.sql("select cacheaside.unwatch('gifts')")
    shop.sql(write)
    verifier = shop.verifier()
    stale = {answer.query_string for _ in range(CALLS) for answer in verifier.verify(at_most=100).stale}
    assert stale == {"id=1" if "delete" in write else "id=301"}


def test_answer_in_its_stale_window_is_served_and_so_compared(shop: Shop) -> None:
    shop.ask("gift", ago_ms=70_000, id=["1"])
    shop.sql("select cacheaside.unwatch('gifts')")
    shop.sql("update gifts set price = 0 where id = 1")
    [stale] = shop.verify().stale
    assert stale.age_s >= 70


def test_tag_that_a_query_does_not_declare_is_found(shop: Shop) -> None:
    shop.has(gift=GIFT.replace("gifts:{id}", "orders"))
    shop.ask("gift", id=["1"])
    shop.sql("update gifts set price = 0 where id = 1")
    assert len(shop.verify().stale) == 1

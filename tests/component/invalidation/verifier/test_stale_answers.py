"""The verifier finds stale answers, on real servers and with entries that the read path stored."""

from __future__ import annotations

import pytest

from cacheaside.invalidation.verification import Verification
from tests.component.support.verifier_shop import GIFT, InterruptedDatabase, Shop


def test_right_answers_to_all_kinds_of_parameters_are_verified(shop: Shop) -> None:
    shop.ask("gift", id=["1"])
    shop.ask("gift", id=["9999"])  # no such row
    shop.ask("cheap")
    shop.ask("cheap", price=["+1.50"], names=["a&b", "", "ø"])
    shop.database = InterruptedDatabase(shop.database)
    verification = shop.verify()
    asked = {"id=1", "id=9999", "price=9.99", "price=1.5&names=a%26b&names=&names=%C3%B8"}
    assert sorted(shop.database.asked) == sorted(asked)
    assert verification == Verification(4)
    assert shop.slept == []


def test_answer_that_was_loaded_after_a_write_is_right(shop: Shop) -> None:
    shop.ask("gift", id=["1"])
    shop.sql("update gifts set price = 0 where id = 1")
    shop.drain()
    shop.ask("gift", id=["1"])
    assert shop.verify() == Verification(1)


# Stale answers


def test_unrecorded_write_is_found_with_the_age_of_the_answer(shop: Shop) -> None:
    key = shop.ask("gift", id=["17"])
    shop.sql("select cacheaside.unwatch('gifts')")
    shop.sql("update gifts set price = 0 where id = 17")
    shop.ahead_ms = 90_000
    [stale] = shop.verify().stale
    assert (stale.query, stale.key, stale.parameters) == ("gift", key, {"id": 17})
    assert 90 <= stale.age_s < 120


def test_log_of_a_stale_answer_has_what_it_takes_to_ask_again_but_no_text_of_a_caller(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.ask("cheap", price=["1.50"], names=["Ada", "ø"])
    shop.sql("select cacheaside.unwatch('gifts')")
    shop.sql("delete from gifts where id = 1")
    assert len(shop.verify().stale) == 1
    [record] = caplog.records
    assert vars(record)["query"] == "cheap"
    assert vars(record)["parameters"] == {"price": "1.5", "names": ["<3 characters>", "<1 characters>"]}
    assert "cheap(price=1.5, names=" in record.getMessage()
    assert "Ada" not in record.getMessage()


@pytest.mark.parametrize("write", ["delete from gifts where id = 1", "insert into gifts values (301, 0)"])
def test_unrecorded_insert_or_delete_is_found(shop: Shop, write: str) -> None:
    shop.ask("gift", id=["1"])
    shop.ask("gift", id=["301"])
    shop.sql("select cacheaside.unwatch('gifts')")
    shop.sql(write)
    [stale] = shop.verify().stale
    assert stale.parameters == {"id": 1 if "delete" in write else 301}


def test_answer_in_its_stale_window_is_compared_because_it_is_served(shop: Shop) -> None:
    shop.ask("gift", ago_ms=70_000, id=["1"])
    shop.sql("select cacheaside.unwatch('gifts')")
    shop.sql("update gifts set price = 0 where id = 1")
    [stale] = shop.verify().stale
    assert stale.age_s >= 70


def test_answer_with_an_undeclared_tag_is_found(shop: Shop) -> None:
    shop.write_queries(gift=GIFT.replace("gifts:{id}", "orders"))
    shop.ask("gift", id=["1"])
    shop.sql("update gifts set price = 0 where id = 1")
    assert len(shop.verify().stale) == 1

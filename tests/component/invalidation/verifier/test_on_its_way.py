"""What is on its way is not stale, and is told from what is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from cacheaside.invalidation.verifier import Verification
from tests.component.support.verified_shop import Interrupted, Shop


def test_write_between_the_look_and_the_load_is_no_false_alarm(shop: Shop) -> None:
    shop.ask("gift", id=["1"])
    shop.database = Interrupted(shop.database, lambda: shop.sql("update gifts set price = price + 1 where id = 1"))
    assert shop.verify() == Verification(1)
    assert shop.slept == [0.0]


def test_entry_that_was_replaced_meanwhile_is_no_false_alarm(shop: Shop, side: Any) -> None:
    """By a refresh, which leaves the tags as they are."""
    key = shop.ask("gift", id=["1"])
    shop.sql("select cacheaside.unwatch('gifts')")
    database = shop.database

    def replace_it() -> None:
        shop.sql("update gifts set price = 0 where id = 1")
        side.delete(key)
        shop.database = database
        shop.ask("gift", id=["1"])

    shop.database = Interrupted(database, replace_it)
    assert shop.verify() == Verification(1)


@pytest.fixture
def other_drainer(postgres: Any) -> Iterator[Any]:
    with closing(psycopg2.connect(postgres.url)) as connection:
        yield connection


def has_in_hand(drainer: Any) -> None:
    with drainer.cursor() as cursor:
        cursor.execute("select change from cacheaside.outbox where drained_at is null for update")


def test_write_that_another_drainer_has_in_hand_is_waited_for(shop: Shop, other_drainer: Any) -> None:
    def update_and_have_it_taken() -> None:
        shop.sql("update gifts set price = 0 where id = 1")
        has_in_hand(other_drainer)

    def finish(seconds: float) -> None:
        if seconds:
            shop.cache.invalidate_tags(["gifts:1"])
            other_drainer.commit()

    shop.ask("gift", id=["1"])
    shop.database = Interrupted(shop.database, update_and_have_it_taken)
    shop.sleep = finish
    assert shop.verify() == Verification(1)
    assert shop.slept == [0.0, 0.5]


def test_nothing_is_waited_for_once_no_answer_differs(shop: Shop, other_drainer: Any) -> None:
    shop.sql("update products set price = price where id = 1")
    has_in_hand(other_drainer)
    shop.ask("gift", id=["1"])
    shop.database = Interrupted(shop.database, lambda: shop.sql("update gifts set price = 0 where id = 1"))
    assert shop.verify() == Verification(1)
    assert shop.slept == [0.0]


def test_write_that_another_drainer_keeps_in_hand_is_left_to_a_later_sample(shop: Shop, other_drainer: Any) -> None:
    def update_and_have_it_taken() -> None:
        shop.sql("update gifts set price = 0 where id = 1")
        has_in_hand(other_drainer)

    shop.ask("gift", id=["1"])
    shop.database = Interrupted(shop.database, update_and_have_it_taken)
    assert shop.verify() == Verification(1)
    assert sum(shop.slept) == 3


def test_writes_that_go_on_and_on_do_not_hide_a_stale_answer(shop: Shop, other_drainer: Any) -> None:
    """Something is pending each time, but younger than the load."""

    def write_more(seconds: float) -> None:
        time.sleep(seconds)
        other_drainer.commit()
        shop.drain()
        shop.sql("update products set price = price where id = 1")
        has_in_hand(other_drainer)

    shop.ask("gift", id=["1"])
    shop.sql("select cacheaside.unwatch('gifts')")
    shop.sql("update gifts set price = 0 where id = 1")
    shop.sleep = write_more
    assert len(shop.verify().stale) == 1


def test_answer_that_was_taken_out_and_is_still_there_is_not_asked_for(shop: Shop) -> None:
    shop.ask("gift", id=["1"])
    shop.sql("update gifts set price = 0 where id = 1")
    shop.database = Interrupted(shop.database)
    assert shop.verify() == Verification(0)
    assert shop.database.asked == []

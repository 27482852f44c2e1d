"""An answer whose invalidation is still pending does not count as stale."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from cacheaside.invalidation.verification import Verification
from tests.component.support.verifier_shop import InterruptedDatabase, Shop


def test_write_between_the_look_and_the_load_is_no_false_alarm(shop: Shop) -> None:
    shop.ask("gift", id=["1"])
    shop.database = InterruptedDatabase(
        shop.database, lambda: shop.sql("update gifts set price = price + 1 where id = 1")
    )
    assert shop.verify() == Verification(1)
    assert shop.slept == [0.0]


def test_entry_that_is_replaced_during_the_load_is_no_false_alarm(shop: Shop, plain_client: Any) -> None:
    """A refresh replaces the entry and keeps the tag versions."""
    key = shop.ask("gift", id=["1"])
    shop.sql("select cacheaside.unwatch('gifts')")
    database = shop.database

    def replace_entry() -> None:
        shop.sql("update gifts set price = 0 where id = 1")
        plain_client.delete(key)
        shop.database = database
        shop.ask("gift", id=["1"])

    shop.database = InterruptedDatabase(database, replace_entry)
    assert shop.verify() == Verification(1)


@pytest.fixture
def other_drainer(postgres: Any) -> Iterator[Any]:
    with closing(psycopg2.connect(postgres.url)) as connection:
        yield connection


def lock_pending_rows(drainer: Any) -> None:
    with drainer.cursor() as cursor:
        cursor.execute("select change from cacheaside.outbox where drained_at is null for update")


def test_verifier_waits_for_a_write_that_another_drainer_has_locked(shop: Shop, other_drainer: Any) -> None:
    def update_and_lock_its_row() -> None:
        shop.sql("update gifts set price = 0 where id = 1")
        lock_pending_rows(other_drainer)

    def finish(seconds: float) -> None:
        if seconds:
            shop.cache.invalidate_tags(["gifts:1"])
            other_drainer.commit()

    shop.ask("gift", id=["1"])
    shop.database = InterruptedDatabase(shop.database, update_and_lock_its_row)
    shop.sleep = finish
    assert shop.verify() == Verification(1)
    assert shop.slept == [0.0, 0.5]


def test_verifier_does_not_wait_once_no_answer_differs(shop: Shop, other_drainer: Any) -> None:
    shop.sql("update products set price = price where id = 1")
    lock_pending_rows(other_drainer)
    shop.ask("gift", id=["1"])
    shop.database = InterruptedDatabase(shop.database, lambda: shop.sql("update gifts set price = 0 where id = 1"))
    assert shop.verify() == Verification(1)
    assert shop.slept == [0.0]


def test_write_that_another_drainer_keeps_locked_is_left_to_a_later_sample(shop: Shop, other_drainer: Any) -> None:
    def update_and_lock_its_row() -> None:
        shop.sql("update gifts set price = 0 where id = 1")
        lock_pending_rows(other_drainer)

    shop.ask("gift", id=["1"])
    shop.database = InterruptedDatabase(shop.database, update_and_lock_its_row)
    assert shop.verify() == Verification(1)
    assert sum(shop.slept) == 3


def test_endless_writes_do_not_hide_a_stale_answer(shop: Shop, other_drainer: Any) -> None:
    """Each time a change is pending, but it is younger than the load."""

    def write_more(seconds: float) -> None:
        time.sleep(seconds)
        other_drainer.commit()
        shop.drain()
        shop.sql("update products set price = price where id = 1")
        lock_pending_rows(other_drainer)

    shop.ask("gift", id=["1"])
    shop.sql("select cacheaside.unwatch('gifts')")
    shop.sql("update gifts set price = 0 where id = 1")
    shop.sleep = write_more
    assert len(shop.verify().stale) == 1


def test_answer_that_is_already_invalidated_is_not_loaded(shop: Shop) -> None:
    shop.ask("gift", id=["1"])
    shop.sql("update gifts set price = 0 where id = 1")
    shop.database = InterruptedDatabase(shop.database)
    assert shop.verify() == Verification(0)
    assert shop.database.asked == []

"""Sample data: the same rows everywhere, a load that was cut off is completed, and other data is left alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection

from migrate.sample_data import load
from migrate.upgrade import upgrade

Connect = Callable[..., Connection]
PRODUCTS = 1000
# Of every value of that shop. It depends on `sample/` alone, and not on the machine or the version of PostgreSQL.
CHECKSUM = "4dabafb516988c6b9808cee00f511695b2ba99bb84cf25c3ff12e8b43bc8b506"


def value(connection: Connection, query: str) -> Any:
    with connection, connection.cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone()
        assert row is not None
        return row[0]


def checksum(connection: Connection) -> str:
    with connection, connection.cursor() as cursor:
        cursor.execute("set timezone = 'UTC'")
    tables = {"customers": "id", "products": "id", "orders": "id", "order_items": "order_id, line"}
    parts = [
        value(connection, f"select string_agg({table}::text, ' ' order by {key}) from {table}")
        for table, key in tables.items()
    ]
    return sha256(" ".join(parts).encode()).hexdigest()


def quiet(_done: int, _total: int) -> None:
    return


class Interrupted(Exception):
    """Raised by a test to cut off a load."""


def test_rows_are_the_same_everywhere_however_often_the_load_was_cut_off(connect: Connect) -> None:
    connection = connect()
    upgrade(connection)
    with connection, connection.cursor() as cursor:
        cursor.execute("set timezone = 'Asia/Tokyo'")

    interruptions = 0

    def cut_off(done: int, total: int) -> None:
        nonlocal interruptions
        if interruptions < 3 and done > total * interruptions // 4:
            interruptions += 1
            raise Interrupted

    for _ in range(3):
        with pytest.raises(Interrupted):
            load(connection, PRODUCTS, cut_off)
    assert load(connection, PRODUCTS, quiet) is True
    assert checksum(connection) == CHECKSUM


def test_loads_at_once_share_the_work(connect: Connect) -> None:
    upgrade(connect())
    connections = [connect() for _ in range(3)]
    threads = [threading.Thread(target=load, args=(each, PRODUCTS, quiet)) for each in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert checksum(connect()) == CHECKSUM


def test_size_is_as_promised(connect: Connect) -> None:
    connection = connect()
    upgrade(connection)
    load(connection, PRODUCTS, quiet)
    counts = [value(connection, f"select count(*) from {table}") for table in ("customers", "products", "orders")]
    assert counts == [500, 1000, 10_000]
    assert value(connection, "select count(*) from order_items") >= 30_000


def test_progress_ends_with_everything_done(connect: Connect) -> None:
    connection = connect()
    upgrade(connection)
    seen: list[tuple[int, int]] = []
    load(connection, 10, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (115, 115)
    assert seen == sorted(seen)


def test_complete_shop_is_left_alone(connect: Connect) -> None:
    connection = connect()
    upgrade(connection)
    load(connection, 10, quiet)
    assert load(connection, 20, quiet) is False
    assert value(connection, "select count(*) from products") == 10


def test_rows_of_other_origin_are_left_alone(connect: Connect) -> None:
    connection = connect()
    upgrade(connection)
    with connection, connection.cursor() as cursor:
        cursor.execute("insert into products (sku, name, category, price) values ('mine', 'mine', 'mine', 1)")
    assert load(connection, 10, quiet) is False
    assert value(connection, "select count(*) from products") == 1


def test_next_row_comes_after_the_sample(connect: Connect) -> None:
    connection = connect()
    upgrade(connection)
    load(connection, 10, quiet)
    assert value(connection, "insert into orders (customer_id) values (1) returning id") == 101

"""Sample data: the same rows everywhere, complete or to be completed, and never in the way of somebody's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection

from migrate.sample_data import load
from migrate.upgrade import upgrade

Connect = Callable[..., Connection]
PRODUCTS = 1000


def value(connection: Connection, query: str) -> Any:
    with connection, connection.cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone()
        assert row is not None
        return row[0]


def checksum(connection: Connection) -> str:
    """Of every value of the shop, in the order of its keys."""
    parts = [
        value(connection, f"select md5(string_agg({table}::text, ' ' order by {key})) from {table}")
        for table, key in [("customers", "id"), ("products", "id"), ("orders", "id"), ("order_items", "order_id, line")]
    ]
    return " ".join(parts)


def quiet(_done: int, _total: int) -> None:
    return


class Interrupted(Exception):
    """The load ends here."""


def test_two_databases_get_the_same_rows_however_often_the_load_was_cut_off(connect: Connect, sql: Any) -> None:
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
    with connection, connection.cursor() as cursor:
        cursor.execute("set timezone = 'UTC'")
    first = checksum(connection)

    with connection, connection.cursor() as cursor:
        cursor.execute("truncate customers, products, orders, order_items, cacheaside.sample_load")
    load(connection, PRODUCTS, quiet)
    assert checksum(connection) == first


def test_size_is_as_promised(connect: Connect) -> None:
    connection = connect()
    upgrade(connection)
    load(connection, PRODUCTS, quiet)
    counts = [value(connection, f"select count(*) from {table}") for table in ("customers", "products", "orders")]
    assert counts == [500, 1000, 10_000]
    assert 25_000 < value(connection, "select count(*) from order_items") < 35_000


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


def test_somebodys_own_rows_are_left_alone(connect: Connect) -> None:
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

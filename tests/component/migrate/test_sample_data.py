"""Sample data: the same rows everywhere, a load that was cut off is completed, and other data is left alone."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection

from migrate.sample_data import Sample, load
from migrate.upgrade import FUNCTIONS, upgrade

Connect = Callable[..., Connection]
CATALOGUE = FUNCTIONS / "catalogue"
PRODUCTS = 1000
# Of every value of that sample. It depends on its files alone, and not on the machine or the version of PostgreSQL.
CHECKSUM = "50a862773498a2f7ee1fced22825937f091f0459fa65475e63802ecd7c1b2790"


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
            load(connection, CATALOGUE, PRODUCTS, cut_off)
    assert load(connection, CATALOGUE, PRODUCTS, quiet) is True
    assert checksum(connection) == CHECKSUM


def test_loads_at_once_share_the_work(connect: Connect) -> None:
    upgrade(connect())
    connections = [connect() for _ in range(3)]
    threads = [threading.Thread(target=load, args=(each, CATALOGUE, PRODUCTS, quiet)) for each in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert checksum(connect()) == CHECKSUM


def test_size_is_as_promised(connect: Connect) -> None:
    connection = connect()
    upgrade(connection)
    load(connection, CATALOGUE, PRODUCTS, quiet)
    counts = [value(connection, f"select count(*) from {table}") for table in ("customers", "products", "orders")]
    assert counts == [500, 1000, 10_000]
    assert value(connection, "select count(*) from order_items") == 30_000


def test_progress_ends_with_everything_done(connect: Connect) -> None:
    connection = connect()
    upgrade(connection)
    seen: list[tuple[int, int]] = []
    load(connection, CATALOGUE, 10, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (115, 115)
    assert seen == sorted(seen)


def test_complete_sample_is_left_alone(connect: Connect) -> None:
    connection = connect()
    upgrade(connection)
    load(connection, CATALOGUE, 10, quiet)
    assert load(connection, CATALOGUE, 20, quiet) is False
    assert value(connection, "select count(*) from products") == 10


def test_rows_of_other_origin_are_left_alone(connect: Connect) -> None:
    connection = connect()
    upgrade(connection)
    with connection, connection.cursor() as cursor:
        cursor.execute("insert into products (sku, name, category, price) values ('mine', 'mine', 'mine', 1)")
    assert load(connection, CATALOGUE, 10, quiet) is False
    assert value(connection, "select count(*) from products") == 1


def test_next_row_comes_after_the_sample(connect: Connect) -> None:
    connection = connect()
    upgrade(connection)
    load(connection, CATALOGUE, 10, quiet)
    assert value(connection, "insert into orders (customer_id) values (1) returning id") == 101


def test_tables_that_a_file_fills_besides_its_own_are_analyzed(connect: Connect) -> None:
    connection = connect()
    upgrade(connection)
    load(connection, CATALOGUE, 10, quiet)
    assert value(connection, "select reltuples from pg_class where relname = 'order_items'") == 300


def test_catalogue_without_a_sample_changes_nothing(connect: Connect, tmp_path: Path) -> None:
    connection = connect()
    upgrade(connection)
    assert load(connection, tmp_path, 10, quiet) is False
    assert value(connection, "select to_regclass('cacheaside.sample_load') is null")


@pytest.mark.parametrize(
    ("name", "sql", "says"),
    [
        ("customers.sql", "-- rows = 1\nselect 1", "sample/customers.sql is not named like 1_customers.sql"),
        ("1_customers.sql", "select 1", "sample/1_customers.sql: its first line must be a header such as -- rows = 10"),
        ("1_customers.sql", "-- rows = 'x'\n", "such as -- rows = 10"),
        ("1_customers.sql", "-- rows, 1\n", "such as -- rows = 10"),
        (
            "1_customers.sql",
            "-- rows = 1\nselect %(last)s, %(more)s",
            "use %(first)s, %(last)s, %(customers)s, and",
        ),
        ("1_customers.sql", "-- rows = 1\nselect 1 % 2", "and %% for a percent sign"),
    ],
)
def test_wrong_file_is_named(tmp_path: Path, name: str, sql: str, says: str) -> None:
    (tmp_path / "sample").mkdir()
    (tmp_path / "sample" / name).write_text(sql)
    with pytest.raises(ValueError, match=re.escape(says)):
        Sample.read(tmp_path, 10)


def test_tables_are_loaded_in_the_order_of_their_numbers_and_rows_are_rounded_up(tmp_path: Path) -> None:
    (tmp_path / "sample").mkdir()
    for name, rows in (("10_b", "0.1"), ("9_c", "0.3"), ("2_a", "2")):
        (tmp_path / "sample" / f"{name}.sql").write_text(f"-- rows = {rows}\nselect 1")
    assert list(Sample.read(tmp_path, 30).tables.items()) == [("a", 60), ("c", 9), ("b", 3)]
    assert list(Sample.read(tmp_path, 31).tables.items()) == [("a", 62), ("c", 10), ("b", 4)]

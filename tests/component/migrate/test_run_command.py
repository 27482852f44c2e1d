"""`cacheaside.run_command`: the rows of one statement as JSON, and PostgreSQL's own errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from migrate.upgrade import upgrade

Run = Callable[..., list[Any]]

PLACE = "insert into orders (customer_id) values ({}) returning id, status"


@pytest.fixture
def run(connect: Callable[..., Connection]) -> Run:
    """Runs one statement as the command function does, and commits."""
    owner = connect()
    upgrade(owner)
    with owner, owner.cursor() as cursor:
        cursor.execute("insert into customers (name, email, country) values ('Ada', 'ada@example.com', 'GB')")
        cursor.execute("insert into products (sku, name, category, price) values ('a', 'Kettle', 'Kitchen', 9.99)")
    connection = connect("cacheaside_command")

    def run(statement: str) -> list[Any]:
        with connection, connection.cursor() as cursor:
            cursor.execute("select cacheaside.run_command(%s)", [statement])
            return [row for (row,) in cursor.fetchall()]

    return run


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        ("update products set price = 12.50 where id = 1 returning id, price", [{"id": 1, "price": 12.5}]),
        ("update products set price = 1 where id = 2 returning id", []),
        (PLACE.format(1), [{"id": 1, "status": "placed"}]),
        (f"with placed as ({PLACE.format(1)}) select placed.id + 1 as next from placed", [{"next": 2}]),
        ("select name from products", [{"name": "Kettle"}]),
    ],
)
def test_rows_come_back_as_json(run: Run, statement: str, rows: list[Any]) -> None:
    assert run(statement) == rows


def test_constraint_and_sqlstate_reach_the_client(run: Run) -> None:
    with pytest.raises(psycopg2.errors.ForeignKeyViolation) as caught:
        run(PLACE.format(404))
    assert caught.value.diag.constraint_name == "orders_customer_id_fkey"
    with pytest.raises(psycopg2.errors.CheckViolation) as caught:
        run("update products set price = -1 returning id")
    assert caught.value.diag.constraint_name == "products_price_check"


@pytest.mark.parametrize("statement", ["update products set price = 1", "select 1; select 2"])
def test_statement_without_rows_and_several_statements_are_refused_with_a_hint(run: Run, statement: str) -> None:
    with pytest.raises(psycopg2.errors.InvalidCursorDefinition, match='end it with "returning"'):
        run(statement)
    assert run("select price::text from products") == [{"price": "9.99"}]

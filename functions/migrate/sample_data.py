"""Fills an empty shop with sample rows, the same ones on every machine.

Every row depends on its number alone (see `sample/`). Customers are loaded first, then products, then orders with their
lines. Each transaction loads one chunk and adds its size to `done` in `cacheaside.sample_load`. So a load that was cut
off continues where it stopped, and two loads at once share the work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

__all__ = ["load"]

_FOLDER: Final = Path(__file__).with_name("sample")
_CHUNK: Final = 4_000

_BEGIN: Final = """
    insert into cacheaside.sample_load (products)
    select %(products)s
    where not exists (select from customers) and not exists (select from products)
    on conflict do nothing
"""

# Rows that other writers add during the load are numbered after the last row of the sample.
_RESERVE: Final = """
    select setval(pg_get_serial_sequence('customers', 'id'), %(customers)s),
           setval(pg_get_serial_sequence('products', 'id'), %(products)s),
           setval(pg_get_serial_sequence('orders', 'id'), %(orders)s)
"""


@dataclass(frozen=True, slots=True)
class _Shop:
    """The numbers of rows in a shop of `products`: of each table, and in total."""

    products: int

    @property
    def tables(self) -> dict[str, int]:
        return {"customers": (self.products + 1) // 2, "products": self.products, "orders": 10 * self.products}

    @property
    def total(self) -> int:
        return sum(self.tables.values())

    def chunk(self, done: int) -> tuple[str, int, int]:
        """Return the table of the next chunk after `done` rows, and the numbers of its first and last row."""
        for table, rows in self.tables.items():
            if done < rows:
                return table, done + 1, min(done + _CHUNK, rows)
            done -= rows
        raise ValueError("the shop is complete")


def load(connection: Connection, products: int, report: Callable[[int, int], None]) -> bool:
    """Load a shop of `products`, and call `report(done, total)` with the number of rows after each transaction.

    Returns False if the shop is complete or holds other data, and then changes nothing. A load that was cut off is
    completed, in the size that it was begun with. An exception of `report` cuts off the load.
    """
    shop, done = _begin(connection, products)
    if done == shop.total:
        return False
    while done < shop.total:
        report(done, shop.total)
        done = _load_chunk(connection, shop)
    with connection, connection.cursor() as cursor:
        cursor.execute("analyze customers, products, orders, order_items")
    report(done, shop.total)
    return True


def _begin(connection: Connection, products: int) -> tuple[_Shop, int]:
    with connection, connection.cursor() as cursor:
        cursor.execute(_read("prepare"))
        cursor.execute(_BEGIN, {"products": products})
        if cursor.rowcount:
            cursor.execute(_RESERVE, _Shop(products).tables)
        cursor.execute("select products, done from cacheaside.sample_load")
        row = cursor.fetchone()
    if row is None:  # the shop holds other data
        return _Shop(0), 0
    return _Shop(row[0]), row[1]


def _load_chunk(connection: Connection, shop: _Shop) -> int:
    with connection, connection.cursor() as cursor:
        cursor.execute("select done from cacheaside.sample_load for update")
        done = _number(cursor)
        if done == shop.total:  # another load was faster
            return done
        table, first, last = shop.chunk(done)
        cursor.execute(_read(table), {**shop.tables, "first": first, "last": last})
        cursor.execute("update cacheaside.sample_load set done = done + %s returning done", [last - first + 1])
        return _number(cursor)


def _number(cursor: Cursor) -> int:
    [(number,)] = cursor.fetchall()
    return int(number)


def _read(name: str) -> str:
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")

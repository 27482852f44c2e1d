"""A small business in the habits of two kinds of schemas, and the statements of its application."""

from __future__ import annotations

import re
from typing import Final

from psycopg2.extensions import cursor

__all__ = ["create_tables", "mixed_case", "run_statements"]

_TABLES: Final = """
create table customer (customer_id integer primary key, country text not null);
create table invoice (
    invoice_id integer primary key, customer_id integer not null references customer, total numeric not null
);
create table invoice_line (
    invoice_line_id integer primary key, invoice_id integer not null references invoice, quantity integer not null
);
insert into customer select number, (array['DE', 'FR', 'IT'])[1 + number %% 3] from generate_series(1, 20000) as number;
insert into invoice select number, 1 + number %% 9, number %% 7 from generate_series(1, 20000) as number;
insert into invoice_line select number, 1 + number %% 20000, 1 from generate_series(1, 60000) as number;
analyze customer, invoice, invoice_line;
""".replace("%%", "%")

# The best first: the time of one call times the calls.
_LINES: Final = """
select line.invoice_line_id, line.quantity
from invoice join invoice_line as line on line.invoice_id = invoice.invoice_id
where invoice.customer_id = {customer} and line.quantity in ({quantities})
order by line.quantity, line.invoice_line_id
limit 5
"""
_COUNTRIES: Final = "select country, count(*) as number from customer where country <> 'XX' group by country order by 1"
_TOTAL: Final = "select sum(total) as total from invoice where total > {total} and customer_id <> 2000"
_VOLATILE: Final = "select customer_id from customer order by random() limit 1"
_LOCKS: Final = "select count(*) from (select total from invoice for update) as locked"
_CHEAP: Final = "select total from invoice where invoice_id = {customer}"
_WRITE: Final = "update customer set country = 'DE' where customer_id = {customer}"


def create_tables(cur: cursor, *, is_mixed: bool) -> None:
    """Create and fill the tables."""
    cur.execute(mixed_case(_TABLES) if is_mixed else _TABLES)


def run_statements(cur: cursor, *, is_mixed: bool) -> None:
    """Run what an application would, with literal values."""
    for call in range(30):
        values = {"customer": 1 + call % 3, "quantities": "1" if call % 2 else "1, 2", "total": 3 + call % 2}
        for statement, every in ((_LINES, 1), (_COUNTRIES, 2), (_TOTAL, 3), (_VOLATILE, 5), (_LOCKS, 10)):
            if call % every == 0:
                _run(cur, statement.format(**values), is_mixed=is_mixed)
        _run(cur, _CHEAP.format(**values), is_mixed=is_mixed)
    _run(cur, _WRITE.format(customer=1), is_mixed=is_mixed)


def _run(cur: cursor, statement: str, *, is_mixed: bool) -> None:
    cur.execute(mixed_case(statement) if is_mixed else statement)


def mixed_case(sql: str) -> str:
    """Return `sql` with "InvoiceLine" for invoice_line, as Prisma and Entity Framework name tables."""
    names = r"\b(?:(?:customer|invoice|invoice_line)(?:_id)?|country|quantity|total)\b"
    return re.sub(names, lambda match: f'"{match[0].title().replace("_", "")}"', sql)

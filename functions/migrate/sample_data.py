"""Fills the tables of a catalogue that brings a sample: the folder `sample/`. The rows are the same on every machine.

    prepare.sql         runs first in each session, for the temporary functions that the files use; may be missing
    1_customers.sql     inserts the rows %(first)s to %(last)s of the table `customers`, which it numbers in that way
    2_orders.sql        the next table. In each file %(customers)s and %(orders)s are the numbers of rows of all tables

The first lines of a file are its header, TOML in comments: `-- rows = 0.5` is the number of rows for each unit of the
sample's size, rounded up. The SQL may insert into other tables as well.

Each transaction loads one chunk and adds its size to `done` in `cacheaside.sample_load`. So a load that was cut off
continues where it stopped, and two loads at once share the work.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import takewhile
from math import ceil
from pathlib import Path
from typing import Final, Self

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from psycopg2.sql import SQL, Identifier

__all__ = ["Sample", "load"]

_CHUNK: Final = 4_000
_FILE: Final = re.compile(r"\d+_([a-z_][a-z0-9_]*)")

# One load at a time begins: two sessions cannot create the same table at once.
_PREPARE: Final = """
    select pg_advisory_xact_lock(hashtext('cacheaside.sample_load'));
    -- The number of rows that the load has committed. There is no row if the tables held other data before it.
    create table if not exists cacheaside.sample_load (
        only_row boolean primary key default true check (only_row),
        size     bigint not null check (size > 0),
        done     bigint not null default 0
    )
"""
_BEGIN: Final = "insert into cacheaside.sample_load (size) values (%s) on conflict do nothing"
# Rows that other writers add during the load are numbered after the last row of the sample.
_RESERVE: Final = """
    select setval(sequence, %(rows)s)
    from pg_attribute, pg_get_serial_sequence(%(table)s, attname) as sequence
    where attrelid = %(table)s::regclass and attnum > 0 and not attisdropped and sequence is not null
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """The sample of a catalogue in one size: for each table the SQL that loads it, and its number of rows."""

    size: int
    prepare: str
    statements: dict[str, str]
    tables: dict[str, int]

    @classmethod
    def read(cls, catalogue: Path, size: int) -> Self:
        """Read the files of `sample/`. Raises ValueError, which names the file, for one that cannot be loaded."""
        statements, tables = {}, {}
        for path in sorted((catalogue / "sample").glob("*.sql"), key=_number_of):
            if path.name == "prepare.sql":
                continue
            match = _FILE.fullmatch(path.stem)
            if match is None:
                raise ValueError(f"sample/{path.name} is not named like 1_customers.sql")
            statements[match[1]] = _text(path)
            tables[match[1]] = ceil(_rows(path.name, statements[match[1]]) * size)
        for table, sql in statements.items():
            _check_placeholders(table, sql, tables)
        prepare = catalogue / "sample" / "prepare.sql"
        return cls(size, _text(prepare) if prepare.exists() else "", statements, tables)

    @property
    def total(self) -> int:
        """The number of rows, without those of other tables that the files fill."""
        return sum(self.tables.values())

    def chunk(self, done: int) -> tuple[str, int, int]:
        """Return the table of the next chunk after `done` rows, and the numbers of its first and last row."""
        for table, rows in self.tables.items():
            if done < rows:
                return table, done + 1, min(done + _CHUNK, rows)
            done -= rows
        raise ValueError("the sample is complete")


def load(connection: Connection, catalogue: Path, size: int, report: Callable[[int, int], None]) -> bool:
    """Load the sample of `catalogue`, and call `report(done, total)` with the number of rows after each transaction.

    Returns False if there is none, or `size` is 0, or the sample is complete, or its tables hold other data. Then it
    changes no table of the catalogue. A load that was cut off is completed, in the size that it was begun with. An
    exception of `report` cuts off the load. Raises ValueError for a wrong file.
    """
    sample = Sample.read(catalogue, size)
    if sample.total == 0:
        return False
    size, done = _begin(connection, sample)
    sample = Sample.read(catalogue, size)
    if done == sample.total:
        return False
    while done < sample.total:
        report(done, sample.total)
        done = _load_chunk(connection, sample)
    with connection, connection.cursor() as cursor:
        cursor.execute("analyze")
    report(done, sample.total)
    return True


def _begin(connection: Connection, sample: Sample) -> tuple[int, int]:
    """Return the size of the load, and the number of its rows that are there. The size is 0 if there is other data."""
    with connection, connection.cursor() as cursor:
        cursor.execute(_PREPARE)
        if not any(_has_rows(cursor, table) for table in sample.tables):
            cursor.execute(_BEGIN, [sample.size])
            for table, rows in sample.tables.items() if cursor.rowcount else ():
                cursor.execute(_RESERVE, {"table": table, "rows": rows})
        if sample.prepare:
            cursor.execute(sample.prepare)
        cursor.execute("select size, done from cacheaside.sample_load")
        row = cursor.fetchone()
    return (row[0], row[1]) if row else (0, 0)


def _load_chunk(connection: Connection, sample: Sample) -> int:
    with connection, connection.cursor() as cursor:
        cursor.execute("select done from cacheaside.sample_load for update")
        done = _number(cursor)
        if done == sample.total:  # another load was faster
            return done
        table, first, last = sample.chunk(done)
        cursor.execute(sample.statements[table], {**sample.tables, "first": first, "last": last})
        cursor.execute("update cacheaside.sample_load set done = done + %s returning done", [last - first + 1])
        return _number(cursor)


def _has_rows(cursor: Cursor, table: str) -> bool:
    cursor.execute(SQL("select exists (select from {})").format(Identifier(table)))
    return bool(_number(cursor))


def _number(cursor: Cursor) -> int:
    [(number,)] = cursor.fetchall()
    return int(number)


def _number_of(path: Path) -> int:
    number = path.name.partition("_")[0]
    return int(number) if number.isdecimal() else 0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"sample/{path.name} is not UTF-8: {error.reason}; save it as UTF-8") from None


def _check_placeholders(table: str, sql: str, tables: Mapping[str, int]) -> None:
    try:
        sql % dict.fromkeys([*tables, "first", "last"], 0)
    except (KeyError, TypeError, ValueError):
        names = ", ".join(f"%({name})s" for name in ("first", "last", *tables))
        raise ValueError(f"sample/…_{table}.sql: it may use {names}, and %% for a percent sign") from None


def _rows(file: str, sql: str) -> Decimal:
    lines = takewhile(lambda line: line.startswith("--"), sql.splitlines())
    header = "\n".join(line.removeprefix("--") for line in lines)
    try:
        return Decimal(tomllib.loads(header, parse_float=Decimal)["rows"])
    except (KeyError, TypeError, ArithmeticError, tomllib.TOMLDecodeError):
        raise ValueError(f"sample/{file}: its first line must be a header such as -- rows = 10") from None

"""A connection to somebody's own database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from local.acting_roles import with_options
from local.errors import LocalError
from local.terminal import one_line

__all__ = ["connected", "rows"]


@contextmanager
def connected(url: str, options: str = "") -> Iterator[Connection]:
    """Yield a connection. Raises `LocalError` if there is none, and for an error of PostgreSQL in the block."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("postgresql", "postgres") and bool(parts.hostname)
    except ValueError:
        valid = False
    if not valid:
        raise LocalError("the URL of the database is not like postgresql://user@host:5432/name")
    try:
        with closing(
            psycopg2.connect(with_options(url, options), connect_timeout=10, client_encoding="UTF8")
        ) as connection:
            yield connection
    except psycopg2.Error as error:
        raise LocalError(f"the database: {one_line(error)}") from error


def rows(cursor: Cursor, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
    cursor.execute(statement, values)
    return list(cursor.fetchall())

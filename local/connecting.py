"""A connection to the database that a command is about, or one sentence that says why there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from local.errors import LocalError
from local.postgres_urls import canonical_url, with_options
from local.terminal import one_line

__all__ = ["connect", "connected", "rows"]

_CONNECT_S: Final = 10


def connect(url: str, options: str = "") -> Connection:
    """Return a connection. Raises `LocalError`: its text has no part of the URL but the host, and never a password."""
    canonical = with_options(canonical_url(url), options)
    try:
        return psycopg2.connect(canonical, connect_timeout=_CONNECT_S, client_encoding="UTF8")
    except psycopg2.Error as error:
        raise LocalError(f"there is no connection to the database: {one_line(error)}") from error


@contextmanager
def connected(url: str, options: str = "") -> Iterator[Connection]:
    """Yield a connection. Raises `LocalError` as `connect` does, and for an error of PostgreSQL in the block."""
    with closing(connect(url, options)) as connection:
        try:
            yield connection
        except psycopg2.Error as error:
            raise LocalError(f"the database: {one_line(error)}") from error


def rows(cursor: Cursor, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
    """Return the rows of the statement."""
    cursor.execute(statement, values)
    return list(cursor.fetchall())

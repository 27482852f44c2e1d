"""Checks as if grants of a migration that is not applied yet had been made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import psycopg2
from psycopg2.extensions import connection as Connection

from cacheaside.drivers.postgres.introspection.inspector import Inspector, inspecting

__all__ = ["inspecting_with"]


@contextmanager
def inspecting_with(connection: Connection, statements: Iterable[str]) -> Iterator[Inspector]:
    """Yield an inspector of the database after the grants among `statements`, and roll all back after the block.

    Nothing is watched: that would lock tables, for as long as the check takes.
    """
    grants = [each for each in statements if each.startswith("grant ")]
    try:
        with connection.cursor() as cur:
            for grant in grants:
                cur.execute("savepoint granting")
                with suppress(psycopg2.errors.InsufficientPrivilege, psycopg2.errors.UndefinedObject):
                    cur.execute(grant)
                    continue
                cur.execute("rollback to savepoint granting")
        with inspecting(connection) as database:
            yield database
    finally:
        if not connection.closed:
            connection.rollback()

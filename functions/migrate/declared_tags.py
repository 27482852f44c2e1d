"""Tells the database which tags the deployed queries declare: it follows what stands behind these names."""

from __future__ import annotations

from pathlib import Path

from psycopg2.extensions import connection as Connection

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.tags import table_of

__all__ = ["declare_tags", "undeclare_tags"]


def declare_tags(connection: Connection, catalogue: Path) -> None:
    """Call `cacheaside.declare` with the tags of every query. Call it after the check has found them right."""
    queries = Catalogue.load(catalogue).queries.values()
    tags = sorted({table_of(tag) for query in queries for tag in query.tags})
    with connection, connection.cursor() as cursor:
        cursor.execute("select cacheaside.declare(%s)", [tags])


def undeclare_tags(connection: Connection) -> None:
    """Call `cacheaside.undeclare`: a deployment is rolled back, and the former code runs on."""
    with connection, connection.cursor() as cursor:
        cursor.execute("select cacheaside.undeclare()")

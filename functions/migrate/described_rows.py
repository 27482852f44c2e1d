"""Has PostgreSQL describe the rows of each statement, for the documents of the API: once, and not with each request."""

from __future__ import annotations

from pathlib import Path

from psycopg2.extensions import connection as Connection

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.statements import Statement
from cacheaside.drivers.postgres.described import write_described
from cacheaside.drivers.postgres.introspection.inspector import inspecting

__all__ = ["describe_rows"]


def describe_rows(connection: Connection, catalogue: Path) -> None:
    """Write the description of each statement to the database. One that PostgreSQL refuses is left out.

    Raises psycopg2.Error if the connection or the server fails.
    """
    loaded = Catalogue.load(catalogue)
    statements: list[Statement] = [*loaded.queries.values(), *loaded.commands.values()]
    with inspecting(connection) as database:
        described = [(statement, database.described(statement)) for statement in statements]
    with connection, connection.cursor() as cursor:
        write_described(cursor, [(statement, each) for statement, each in described if each is not None])

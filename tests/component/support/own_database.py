"""A database with the schema of the migrations, and more beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2

from local.servers.postgres import PostgresServer
from migrate.upgrade import upgrade

__all__ = ["own_database"]


@contextmanager
def own_database(server: PostgresServer, name: str, schema: str) -> Iterator[str]:
    """Give its owner's URL, and drop it after."""
    with closing(psycopg2.connect(server.url)) as owner:
        owner.autocommit = True
        with owner.cursor() as cursor:
            cursor.execute(f"create database {name}")
        url = server.url_for("postgres", name)
        with closing(psycopg2.connect(url)) as connection:
            upgrade(connection)
            with connection, connection.cursor() as cursor:
                cursor.execute(schema)
        yield url
        with owner.cursor() as cursor:
            cursor.execute(f"drop database {name} with (force)")

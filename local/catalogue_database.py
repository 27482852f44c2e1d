"""A database with the schema of the catalogue."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg2

from local.errors import LocalError
from local.recorded_url import database_url
from local.servers.postgres import PostgresServer
from migrate.upgrade import MigrationFailed, upgrade

__all__ = ["catalogue_database"]


@contextmanager
def catalogue_database() -> Iterator[str]:
    """Yield the URL of the user's database, else that of an empty one with all migrations. Raises `LocalError`."""
    if url := database_url():
        yield url
        return
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="cacheaside-check-")))
        folder.chmod(0o755)  # PostgreSQL, started by root, runs as another user
        server = exits.enter_context(PostgresServer(folder / "postgres", durable=False))
        with closing(psycopg2.connect(server.url)) as connection:
            try:
                upgrade(connection)
            except MigrationFailed as error:
                raise LocalError(f"migration {error}") from None
        yield server.url

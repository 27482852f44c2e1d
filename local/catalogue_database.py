"""The catalogue that commands work on, and a database with its schema."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

import psycopg2

from local.errors import LocalError
from local.recorded_url import database_url
from local.servers.postgres import PostgresServer
from migrate.upgrade import FUNCTIONS, MigrationFailed, upgrade

__all__ = ["CATALOGUE", "catalogue_database", "catalogue_folder"]

CATALOGUE: Final = FUNCTIONS / "catalogue"


def catalogue_folder() -> Path:
    """Return the folder that CATALOGUE names, else this checkout's. Raises `LocalError` if it is no folder."""
    folder = Path(os.environ.get("CATALOGUE") or CATALOGUE)
    if not folder.is_dir() and folder != CATALOGUE:
        raise LocalError(f"{folder} is no folder: CATALOGUE is one such as functions/catalogue, with queries/ in it")
    return folder


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

"""Checks every statement of the catalogue, in a database with the schema of this checkout."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg2

from local.errors import LocalError
from local.recorded_url import database_url
from local.servers.postgres import PostgresServer
from local.terminal import one_line, short_path
from migrate.upgrade import FUNCTIONS, MigrationFailed, upgrade

__all__ = ["CATALOGUE", "check_and_declare", "check_catalogue"]

CATALOGUE = FUNCTIONS / "catalogue"


def check_catalogue() -> tuple[bool, str]:
    """Return whether there is no problem, and the text to print. Warnings are no problem.

    Reads the database that DATABASE_URL names and does not change it. Without one, an empty database is started and
    gets all migrations. CATALOGUE names a catalogue other than this checkout's. Raises `LocalError`.
    """
    folder = Path(os.environ.get("CATALOGUE") or CATALOGUE)
    if not folder.is_dir() and folder != CATALOGUE:
        raise LocalError(f"{folder} is no folder: CATALOGUE is one such as functions/catalogue, with queries/ in it")
    if not _has_statements(folder):
        return True, f"{short_path(folder)} has no statements yet: put a .sql file into its folder queries/"
    with _database() as url:
        return _compare(url, folder)


def check_and_declare(url: str) -> str:
    """Check the catalogue, and tell the database which tags it declares, as a deployment does.

    Return the text to print, also if the check is impossible. It is empty if there are no statements.
    """
    if not _has_statements(CATALOGUE):
        return ""
    from migrate.declared_tags import declare_tags

    try:
        good, report = _compare(url, CATALOGUE)
    except LocalError as error:
        return str(error)
    if good:
        with closing(psycopg2.connect(url, client_encoding="UTF8")) as connection:
            declare_tags(connection, CATALOGUE)
    return report


def _has_statements(folder: Path) -> bool:
    return any(folder.glob("queries/*.sql")) or any(folder.glob("commands/*.sql"))


def _compare(url: str, folder: Path) -> tuple[bool, str]:
    # Imported late: a checkout without statements may have no library on its path.
    from cacheaside.catalogue_check.check import check_statements
    from cacheaside.drivers.postgres.introspection.inspector import inspecting

    try:
        with (
            closing(psycopg2.connect(url, connect_timeout=5, client_encoding="UTF8")) as connection,
            inspecting(connection) as database,
        ):
            checked = check_statements(short_path(folder), database)
    except psycopg2.Error as error:
        raise LocalError(f"the catalogue cannot be checked: {one_line(error)}") from None
    return not checked.problems, str(checked)


@contextmanager
def _database() -> Iterator[str]:
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

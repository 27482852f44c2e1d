"""Whether the tags of every query are what it reads, asked of a database with the schema of this checkout."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg2

from local.errors import LocalError
from local.servers.postgres import PostgresServer
from migrate.upgrade import MigrationFailed, upgrade

__all__ = ["check", "report"]

CATALOGUE = Path(__file__).resolve().parent.parent / "functions" / "catalogue"


def check() -> tuple[bool, str]:
    """Return whether all is right, and what to print.

    Asks the database that DATABASE_URL names, which is left as it is, or an empty one of its own with all migrations.
    CATALOGUE names another catalogue than this checkout's. Raises `LocalError`.
    """
    folder = Path(os.environ.get("CATALOGUE") or CATALOGUE)
    if not _has_queries(folder):
        raise LocalError(
            f"{folder} has no queries: CATALOGUE is a folder such as functions/catalogue, with queries/ in it"
        )
    with _database() as url:
        return _ask(url, folder)


def report(url: str) -> str:
    """Return what to print of the check, for who goes on whatever it says: nothing if there are no queries."""
    if not _has_queries(CATALOGUE):
        return ""
    try:
        return _ask(url, CATALOGUE)[1]
    except LocalError as error:
        return str(error)


def _has_queries(folder: Path) -> bool:
    return any((folder / "queries").glob("*.sql"))


def _ask(url: str, folder: Path) -> tuple[bool, str]:
    # Only now, because who has no queries may have no library on the path.
    from cacheaside.drivers.postgres.introspection.dependencies import dependencies
    from cacheaside.errors import CatalogueError
    from cacheaside.tag_check.check import check_tags

    try:
        with closing(psycopg2.connect(url, connect_timeout=5)) as connection, dependencies(connection) as database:
            checked = check_tags(_short(folder), database)
    except CatalogueError as error:
        return False, str(error)
    except psycopg2.Error as error:
        raise LocalError(f"the tags cannot be checked: {' '.join(str(error).split())}") from None
    return not checked.problems, str(checked)


@contextmanager
def _database() -> Iterator[str]:
    if url := os.environ.get("DATABASE_URL"):
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


def _short(path: Path) -> Path:
    """As a person in the current folder would write it."""
    path = path.resolve()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path

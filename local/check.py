"""Checks every statement of the catalogue, in a database with the schema of this checkout, and corrects it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg2.extensions import connection as Connection

from local.catalogue_database import catalogue_database
from local.catalogue_folder import CATALOGUE, catalogue_folder
from local.connecting import connected
from local.errors import LocalError
from local.terminal import PrintLine, short_path

if TYPE_CHECKING:
    from cacheaside.settings import Callers

__all__ = ["check_and_declare", "check_catalogue", "findings_of_catalogue", "fix_catalogue"]


def check_catalogue() -> tuple[bool, str]:
    """Return whether there is no problem, and the text to print. Warnings are no problem.

    Reads the database that DATABASE_URL names and does not change it. Without one, an empty database is started and
    gets all migrations. CATALOGUE names a catalogue other than this checkout's. READ_AUTHORIZATION and
    WRITE_AUTHORIZATION say who may call the stack that will have it. Raises `LocalError`.
    """
    folder = catalogue_folder()
    if not _has_statements(folder):
        return True, f"{short_path(folder)} has no statements yet: put a .sql file into its folder queries/"
    with catalogue_database() as url:
        return _compare(url, folder)


def findings_of_catalogue() -> list[dict[str, Any]]:
    """Return the findings of the same check as objects for JSON. Raises `LocalError`."""
    from cacheaside.catalogue_check.check import check_statements
    from cacheaside.drivers.postgres.introspection.inspector import inspecting

    folder = catalogue_folder()
    with catalogue_database() as url, _connected(url) as connection, inspecting(connection) as database:
        checked = check_statements(short_path(folder), database, _callers())
    return [
        {
            "path": str(each.path),
            "line": each.line,
            "message": each.message,
            "severity": severity,
            "fix": {"header": each.fix.header or None, "statement": each.fix.statement or None} if each.fix else None,
        }
        for severity, findings in (("error", checked.problems), ("warning", checked.warnings))
        for each in findings
    ]


def fix_catalogue(say: PrintLine, ask: Callable[[], None]) -> bool:
    """Show what the check would have written, `ask`, which raises if it is not wanted, write it, and say what is left.

    Returns whether nothing is left to do but to apply the migration. Nothing is changed in the database, so findings
    that the migration corrects are counted as corrected. Raises `LocalError`.
    """
    from local.drafting.fixes import find_fixes

    folder = catalogue_folder()
    with catalogue_database() as url, _connected(url) as connection:
        fixes = find_fixes(connection, folder)
        if fixes.after:
            say(fixes.diff)
            ask()
            fixes.write(folder)
            fixes = find_fixes(connection, folder)  # of the files as they are now
    for each in fixes.left:
        say(f"{short_path(folder / each.path)}:{each.line}: {each.message}")
    if fixes.waiting:
        say(f"{short_path(folder / fixes.waiting)} is to be applied: `cacheaside migrate` does it")
    if not fixes.left:
        say("no problem is left" if not fixes.waiting else "no problem is left after that")
    return not fixes.left


def check_and_declare(url: str) -> tuple[bool, str]:
    """Check the catalogue. If there is no problem, declare its tags and describe its rows, as a deployment does.

    Return whether they are declared, and the text to print, also if the check is impossible. It is empty if there are
    no statements.
    """
    if not _has_statements(CATALOGUE):
        return True, ""
    from migrate.declared_tags import declare_tags
    from migrate.described_rows import describe_rows

    try:
        good, report = _compare(url, CATALOGUE)
    except LocalError as error:
        return False, str(error)
    if good:
        with connected(url) as connection:
            declare_tags(connection, CATALOGUE)
            describe_rows(connection, CATALOGUE)
    return good, report


def _has_statements(folder: Path) -> bool:
    return any(folder.glob("queries/*.sql")) or any(folder.glob("commands/*.sql"))


def _compare(url: str, folder: Path) -> tuple[bool, str]:
    # Imported late: a checkout without statements may have no library on its path.
    from cacheaside.catalogue_check.check import check_statements
    from cacheaside.drivers.postgres.introspection.inspector import inspecting

    with _connected(url) as connection, inspecting(connection) as database:
        checked = check_statements(short_path(folder), database, _callers())
    return not checked.problems, str(checked)


def _callers() -> Callers:
    """Return who may call the stack that will have the catalogue, if the environment says so. Raises `LocalError`."""
    from cacheaside.errors import SettingsError
    from cacheaside.settings import Callers

    try:
        return Callers.from_environment()
    except SettingsError as error:
        raise LocalError(str(error)) from None


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    with connected(url) as connection:
        _require_schema(connection)
        yield connection


def _require_schema(connection: Connection) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute("select to_regprocedure('cacheaside.tag(regclass)') is not null")
        if cursor.fetchone() != (True,):
            raise LocalError(
                "the database has not the schema cacheaside: run `cacheaside init`, or `cacheaside migrate`"
            )

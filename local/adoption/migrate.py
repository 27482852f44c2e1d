"""Applies the migrations to somebody's own database, and then does what a deployment does."""

from __future__ import annotations

import re
from typing import Final

from local.catalogue_folder import CATALOGUE
from local.check import check_and_declare
from local.connecting import connected, rows
from local.errors import LocalError
from local.terminal import PrintLine
from migrate.foreign_database import SampleRefused, refuse_sample
from migrate.upgrade import FUNCTIONS, MigrationFailed, read_migrations, unknown, upgrade

__all__ = ["migrate", "unapplied"]

# A warning of cacheaside.follow.
_BUSY: Final = re.compile(r"cannot create triggers on (.+?): canceling statement due to lock timeout")


def migrate(url: str, print_line: PrintLine, *, may_be_sample: bool = False) -> tuple[bool, str]:
    """Apply what is missing, check the catalogue and declare its tags.

    Return whether the tags are declared, and the report of the check, which may be "". `may_be_sample`: the database
    may get the migrations of the sample. Raises `LocalError` if a migration fails; those before it stay applied.
    """
    try:
        if not may_be_sample:
            refuse_sample(CATALOGUE)
    except SampleRefused as error:
        raise LocalError(str(error)) from None
    with connected(url) as connection:
        try:
            applied = upgrade(connection)
        except MigrationFailed as error:
            if busy := ", ".join(name.removeprefix("public.") for name in _BUSY.findall(error.reason)):
                raise LocalError(
                    f"another session has been writing to {busy} for 10 s: run the same command again when its "
                    "transaction has ended"
                ) from None
            raise LocalError(f"migration {error}") from None
        ahead = unknown(connection)
    print_line("\n  ".join(["Migrations applied:", *applied]) if applied else "No new migrations")
    if ahead:
        raise LocalError(f"the database is ahead: it has {', '.join(ahead)}, which this checkout lacks")
    declared, report = check_and_declare(url)
    if not declared:
        report += "\nThe tags of the catalogue are not declared until this is right."
    return declared, report


def unapplied(url: str) -> list[str]:
    """Return a line for each file that the database lacks, or why a file cannot be read.

    None if the database cannot be asked: then the check has said why.
    """
    try:
        with connected(url) as connection, connection.cursor() as cursor:
            applied = set(rows(cursor, "select series, number from cacheaside.migrations"))
            lacking = [each.file for each in read_migrations(FUNCTIONS) if each.key not in applied]
            return [f"{file} is not applied: `cacheaside migrate` applies it" for file in lacking]
    except MigrationFailed as error:
        return [str(error)]
    except LocalError:
        return []

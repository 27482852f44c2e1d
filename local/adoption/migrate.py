"""Applies the migrations to somebody's own database, and then does what a deployment does."""

from __future__ import annotations

from local.catalogue_folder import CATALOGUE
from local.check import check_and_declare
from local.connecting import connected
from local.errors import LocalError
from local.terminal import PrintLine
from migrate.foreign_database import SampleRefused, refuse_sample
from migrate.upgrade import MigrationFailed, unknown, upgrade

__all__ = ["migrate"]


def migrate(url: str, print_line: PrintLine) -> str:
    """Apply what is missing, check the catalogue and declare its tags. Return the report of the check, which may be "".

    Raises `LocalError` if a migration fails; those before it stay applied.
    """
    try:
        refuse_sample(CATALOGUE)
    except SampleRefused as error:
        raise LocalError(str(error)) from None
    with connected(url) as connection:
        try:
            applied = upgrade(connection)
        except MigrationFailed as error:
            raise LocalError(f"migration {error}") from None
        ahead = unknown(connection)
    print_line("\n  ".join(["Migrations applied:", *applied]) if applied else "No new migrations")
    if ahead:
        raise LocalError(f"the database is ahead: it has {', '.join(ahead)}, which this checkout lacks")
    return check_and_declare(url)

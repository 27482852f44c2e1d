"""The errors whose message tells the person who deploys what to do, and the reason that CloudFormation gets."""

from __future__ import annotations

from typing import Final

import psycopg2

from cacheaside.errors import CatalogueError, SettingsError
from migrate.catalogue_check import WrongCatalogue
from migrate.deployment import Downgrade
from migrate.foreign_database import SampleRefused
from migrate.time_limit import OutOfTime
from migrate.upgrade import MigrationFailed

__all__ = ["REPORTED", "reason_of"]

REPORTED: Final = (
    MigrationFailed, Downgrade, SampleRefused, WrongCatalogue, CatalogueError, OutOfTime, SettingsError, psycopg2.Error,
    ValueError
)  # fmt: skip


def reason_of(error: Exception) -> str:
    """Return one line, without the address of the database."""
    if isinstance(error, psycopg2.Error) and error.diag.message_primary is None:
        # The message is libpq's, which names the host and may quote the URL.
        return "the database could not be reached, or the connection was lost; the log has the details"
    where = f"{error.__cause__.file}: " if isinstance(error.__cause__, MigrationFailed) else ""
    return where + " ".join(str(error).split())

"""The check of the catalogue against the upgraded database: the same as `make check`."""

from __future__ import annotations

from pathlib import Path

from aws_lambda_powertools import Logger
from psycopg2.extensions import connection as Connection

from cacheaside.catalogue_check.check import check_statements
from cacheaside.drivers.postgres.introspection.inspector import inspecting
from cacheaside.settings import Callers

__all__ = ["WrongCatalogue", "refuse_wrong_catalogue"]

logger = Logger(child=True)


class WrongCatalogue(Exception):
    """A statement would fail, or a change would leave its answers in the cache. The message has a line for each."""


def refuse_wrong_catalogue(connection: Connection, catalogue: Path, callers: Callers) -> None:
    """Raise WrongCatalogue if there are problems, with these callers of the stack. Warnings are logged."""
    with inspecting(connection) as database:
        checked = check_statements(catalogue, database, callers)
    if checked.warnings:
        logger.warning("the catalogue has warnings", extra={"warnings": list(map(str, checked.warnings))})
    if checked.problems:
        logger.error("the catalogue is wrong", extra={"problems": list(map(str, checked.problems))})
        raise WrongCatalogue("\n".join(map(str, checked.problems)))

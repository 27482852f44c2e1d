"""The check of the catalogue against the upgraded database: the same as `make check`."""

from __future__ import annotations

from pathlib import Path

from aws_lambda_powertools import Logger
from psycopg2.extensions import connection as Connection

from cacheaside.drivers.postgres.introspection.dependencies import dependencies
from cacheaside.tag_check.check import check_tags

__all__ = ["WrongTags", "refuse_wrong_tags"]

logger = Logger(child=True)


class WrongTags(Exception):
    """A query reads a table that its tags do not name, or that is not watched. The message has a line for each."""


def refuse_wrong_tags(connection: Connection, catalogue: Path) -> None:
    """Raise WrongTags where a change of a table would leave answers that were made from it in the cache."""
    with dependencies(connection) as database:
        checked = check_tags(catalogue, database)
    if checked.problems:
        logger.error("wrong tags", extra={"problems": list(map(str, checked.problems))})
        raise WrongTags(checked)

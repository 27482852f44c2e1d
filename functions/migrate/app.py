"""Brings the schema to the state of this deployment: the custom resource `Migrations` of the template."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import psycopg2
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from psycopg2.extensions import connection as Connection

from cacheaside.drivers.postgres.introspection.dependencies import dependencies
from cacheaside.errors import CatalogueError, SettingsError
from cacheaside.settings import DatabaseSettings
from cacheaside.tag_check.check import check_tags
from migrate import sample_data
from migrate.custom_resource import respond
from migrate.deployment import Downgrade, refuse_downgrade
from migrate.first_connection import connect_patiently
from migrate.time_limit import OutOfTime, time_limit
from migrate.upgrade import MigrationFailed, unknown, upgrade

logger = Logger()

CATALOGUE: Final = Path(__file__).parents[1] / "catalogue"
# What the answer to CloudFormation needs, with all its attempts.
_RESERVE_S: Final = 60


class WrongTags(Exception):
    """A query reads what its tags do not say, or what nobody watches. The message has a line for each."""


# Errors that tell whoever deploys what to do.
_TOLD: Final = (
    MigrationFailed, Downgrade, WrongTags, CatalogueError, OutOfTime, SettingsError, psycopg2.Error, ValueError
)  # fmt: skip


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Answer one request of CloudFormation. Never fails without telling it why."""
    try:
        data = _serve(event, context)
    except _TOLD as error:
        logger.exception("the schema was not upgraded")
        respond(event, "FAILED", _reason(error))
    except Exception:
        logger.exception("the schema was not upgraded")
        respond(event, "FAILED", f"an error in the migrate function itself; its log group has it: {logger.service}")
    else:
        respond(event, "SUCCESS", data=data)


def _serve(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    if event["RequestType"] == "Delete":
        # The database goes with the stack, or stays as a snapshot or as somebody's own; none of these wants it emptied.
        return {}
    products = _whole_number(event["ResourceProperties"], "SampleProducts")
    # Not at init: a function that fails there cannot answer, and the deployment would wait for it in vain.
    settings = DatabaseSettings.from_environment()
    with closing(connect_patiently(settings, _left_s(context))) as connection, time_limit(connection, _left_s(context)):
        applied = upgrade(connection)
        logger.info("upgraded", extra={"applied": applied})
        if ahead := unknown(connection):
            refuse_downgrade(event, ahead)
            logger.warning("rolled back: the database stays ahead", extra={"ahead": ahead})
        else:  # the queries of a rollback are not of this schema
            _check_tags(connection)
        if products > 0:
            sample_data.load(connection, products, _report)
    return {"Applied": ",".join(applied)}


def _left_s(context: LambdaContext) -> float:
    return context.get_remaining_time_in_millis() / 1000 - _RESERVE_S


def _check_tags(connection: Connection) -> None:
    """Raise WrongTags: better no deployment than answers that outlive a change of what they are made of."""
    with dependencies(connection) as database:
        checked = check_tags(CATALOGUE, database)
    if checked.problems:
        logger.error("wrong tags", extra={"problems": list(map(str, checked.problems))})
        raise WrongTags(checked)


def _whole_number(properties: Mapping[str, str], name: str) -> int:
    written = properties.get(name, "0")  # CloudFormation writes every property as text
    if not (written.isascii() and written.isdigit()):
        raise ValueError(f"{name} must be a whole number, not {written!r}")
    return int(written)


def _report(done: int, total: int) -> None:
    logger.info("sample data", extra={"done": done, "total": total})


def _reason(error: Exception) -> str:
    if isinstance(error, psycopg2.Error) and error.diag.message_primary is None:
        # What libpq says of a connection names the host and may quote the URL.
        return "the database could not be reached, or the connection was lost; the log has the details"
    where = f"{error.__cause__.name}.sql: " if isinstance(error.__cause__, MigrationFailed) else ""
    return where + " ".join(str(error).split())

"""Brings the schema to the state of this deployment: the custom resource `Migrations` of the template."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
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
from migrate.cloudformation_response import send_response
from migrate.deployment import Downgrade, refuse_downgrade
from migrate.first_connection import connect_with_retries
from migrate.time_limit import OutOfTime, time_limit
from migrate.upgrade import FUNCTIONS, MigrationFailed, unknown, upgrade

logger = Logger()

CATALOGUE: Final = FUNCTIONS / "catalogue"
# Time for the response to CloudFormation, with all its attempts.
_RESERVE_S: Final = 60


class WrongTags(Exception):
    """A query reads a table that its tags do not name, or that is not watched. The message has a line for each."""


# Their messages tell the person who deploys what to do, so CloudFormation gets them as the reason.
_REPORTED: Final = (
    MigrationFailed, Downgrade, WrongTags, CatalogueError, OutOfTime, SettingsError, psycopg2.Error, ValueError
)  # fmt: skip


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Answer one request of CloudFormation. Every failure is answered too, with its reason."""
    try:
        data = _serve(event, context)
    except _REPORTED as error:
        logger.exception("the schema was not upgraded")
        send_response(event, "FAILED", _reason(error))
    except Exception:
        logger.exception("the schema was not upgraded")
        reason = f"an error in the migrate function itself; its log group has it: {logger.service}"
        send_response(event, "FAILED", reason)
    else:
        send_response(event, "SUCCESS", data=data)


def _serve(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    if event["RequestType"] == "Delete":
        # The database is deleted with the stack, or kept as a snapshot or as the user's own. So nothing is dropped.
        return {}
    products = _whole_number(event["ResourceProperties"], "SampleProducts")
    # Not at init: a function that fails there sends no response, and the deployment would wait until its timeout.
    settings = DatabaseSettings.from_environment()
    opened = connect_with_retries(settings, _left_s(context))
    with closing(opened) as connection, time_limit(connection, _left_s(context)):
        applied = upgrade(connection)
        logger.info("upgraded", extra={"applied": applied})
        if ahead := unknown(connection):
            refuse_downgrade(event, ahead)
            logger.warning("rolled back: the database stays ahead", extra={"ahead": ahead})
        else:  # not during a rollback: its queries were written for an older schema
            _check_tags(connection)
        if products > 0:
            sample_data.load(connection, products, _report)
    return {"Applied": ",".join(applied)}


def _left_s(context: LambdaContext) -> float:
    return context.get_remaining_time_in_millis() / 1000 - _RESERVE_S


def _check_tags(connection: Connection) -> None:
    """Raise WrongTags where a change of a table would leave answers that were made from it in the cache."""
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
        # The message is libpq's, which names the host and may quote the URL.
        return "the database could not be reached, or the connection was lost; the log has the details"
    where = f"{error.__cause__.file}: " if isinstance(error.__cause__, MigrationFailed) else ""
    return where + " ".join(str(error).split())

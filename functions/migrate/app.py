"""Brings the schema to the state of this deployment: the custom resource `Migrations` of the template."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any, Final

import psycopg2
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from cacheaside.drivers.database import connect
from cacheaside.settings import DatabaseSettings
from migrate import sample_data
from migrate.custom_resource import respond
from migrate.upgrade import MigrationFailed, upgrade

logger = Logger()
settings = DatabaseSettings.from_environment()

# What the answer to CloudFormation needs, with all its attempts.
_RESERVE_MS: Final = 60_000


class OutOfTime(Exception):
    """The function's time is over before its work is."""


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Answer one request of CloudFormation. Never fails without telling it why."""
    try:
        data = _serve(event, context)
    except (MigrationFailed, psycopg2.Error, OutOfTime, ValueError) as error:
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
    products = int(event["ResourceProperties"].get("SampleProducts", 0))
    with closing(connect(settings)) as connection:
        with connection.cursor() as cursor:
            # A migration that takes longer than the function has must fail while there is still time to say so.
            cursor.execute("set statement_timeout = %s", [max(1, _time_left_ms(context))])
        applied = upgrade(connection)
        logger.info("upgraded", extra={"applied": applied})
        if products > 0:
            sample_data.load(connection, products, _in_time(context))
    return {"Applied": ",".join(applied)}


def _in_time(context: LambdaContext) -> Callable[[int, int], None]:
    """Return a report of progress that stops the load while there is still time to say so."""

    def report(done: int, total: int) -> None:
        logger.info("sample data", extra={"done": done, "total": total})
        if _time_left_ms(context) <= 0:
            raise OutOfTime(f"sample data: {done:,} of {total:,} rows when time was over; deploy again to go on")

    return report


def _time_left_ms(context: LambdaContext) -> int:
    return context.get_remaining_time_in_millis() - _RESERVE_MS


def _reason(error: Exception) -> str:
    if isinstance(error, psycopg2.Error) and error.diag.message_primary is None:
        # What libpq says of a connection names the host and may quote the URL.
        return "the database could not be reached, or the connection was lost; the log has the details"
    return " ".join(str(error).split())

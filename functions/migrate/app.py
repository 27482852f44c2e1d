"""Brings the schema to the state of this deployment: the custom resource `Migrations` of the template."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import closing
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from cacheaside.settings import Authentication, Callers, DatabaseSettings
from migrate import sample_data
from migrate.catalogue_check import refuse_wrong_catalogue
from migrate.cloudformation_response import send_response
from migrate.declared_tags import declare_tags, undeclare_tags
from migrate.deployment import refuse_downgrade
from migrate.described_rows import describe_rows
from migrate.failure_reason import REPORTED, reason_of
from migrate.first_connection import connect_with_retries
from migrate.foreign_database import refuse_sample
from migrate.time_limit import time_limit
from migrate.token_sign_in import allow_tokens
from migrate.upgrade import FUNCTIONS, unknown, upgrade

logger = Logger()

CATALOGUE: Final = FUNCTIONS / "catalogue"
# Time for the response to CloudFormation, with all its attempts.
_RESERVE_S: Final = 60


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Answer one request of CloudFormation. Every failure is answered too, with its reason."""
    try:
        data = _serve(event, context)
    except REPORTED as error:
        logger.exception("the schema was not upgraded")
        send_response(event, "FAILED", reason_of(error))
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
    properties = event["ResourceProperties"]
    size = _whole_number(properties, "SampleSize")
    if properties.get("DatabaseSource") == "existing":
        refuse_sample(CATALOGUE)
    # Not at init: a function that fails there sends no response, and the deployment would wait until its timeout.
    settings, callers = DatabaseSettings.from_environment(), Callers.from_environment()
    opened = connect_with_retries(settings, _left_s(context))
    with closing(opened) as connection, time_limit(connection, _left_s(context)):
        applied = upgrade(connection)
        if settings.authentication is Authentication.IAM:
            allow_tokens(connection)
        logger.info("upgraded", extra={"applied": applied})
        if ahead := unknown(connection):
            refuse_downgrade(event, ahead)
            logger.warning("rolled back: the database stays ahead", extra={"ahead": ahead})
            undeclare_tags(connection)
        else:  # not during a rollback: its queries were written for an older schema
            refuse_wrong_catalogue(connection, CATALOGUE, callers)
            declare_tags(connection, CATALOGUE)
            describe_rows(connection, CATALOGUE)
        sample_data.load(connection, CATALOGUE, size, _report)
    return {"Applied": ",".join(applied), "SettingsDigest": _digest(properties.get("Settings"))}


def _left_s(context: LambdaContext) -> float:
    return context.get_remaining_time_in_millis() / 1000 - _RESERVE_S


def _whole_number(properties: Mapping[str, str], name: str) -> int:
    written = properties.get(name, "0")  # CloudFormation writes every property as text
    if not (written.isascii() and written.isdigit()):
        raise ValueError(f"{name} must be a whole number, not {written!r}")
    return int(written)


def _digest(settings: object) -> str:
    """Return a short text that differs for other settings: the functions' versions have it as their description."""
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]


def _report(done: int, total: int) -> None:
    logger.info("sample data", extra={"done": done, "total": total})

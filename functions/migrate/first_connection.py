"""The first connection to a database that the same deployment may have created."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import psycopg2
from aws_lambda_powertools import Logger
from psycopg2.extensions import connection as Connection

from cacheaside.drivers.postgres.connection import open_connection
from cacheaside.settings import DatabaseSettings

__all__ = ["connect_with_retries"]

# The database may refuse a permission that was given to IAM less than a minute or so ago. Giving up before that would
# roll back half an hour of a first deployment.
_RETRY_FOR_S: Final = 150.0
_PAUSE_S: Final = 3.0

logger = Logger(child=True)


def connect_with_retries(
    settings: DatabaseSettings,
    seconds: float,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Connection:
    """Return a connection, opened within `seconds`, but at most two and a half minutes. Each attempt signs a new token.

    Raises the last attempt's psycopg2.OperationalError.
    """
    deadline = now() + min(seconds, _RETRY_FOR_S)
    while True:
        try:
            return open_connection(settings)
        except psycopg2.OperationalError as error:
            if now() + _PAUSE_S >= deadline:
                raise
            logger.warning("the database refuses the connection so far", extra={"reason": str(error)})
        sleep(_PAUSE_S)

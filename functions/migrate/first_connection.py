"""The first connection to a database that the same deployment may have made."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import psycopg2
from aws_lambda_powertools import Logger
from psycopg2.extensions import connection as Connection

from cacheaside.drivers.postgres.connection import open_connection
from cacheaside.settings import DatabaseSettings

__all__ = ["connect_patiently"]

# A permission that IAM has only just been given may be unknown to the database for a minute or so. To give up before
# that would roll back half an hour of a first deployment.
_PATIENCE_S: Final = 150.0
_PAUSE_S: Final = 3.0

logger = Logger(child=True)


def connect_patiently(
    settings: DatabaseSettings,
    seconds: float,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Connection:
    """Return a connection, opened within `seconds` and two and a half minutes at most: each attempt signs a new token.

    Raises psycopg2.OperationalError.
    """
    ends = now() + min(seconds, _PATIENCE_S)
    while True:
        try:
            return open_connection(settings)
        except psycopg2.OperationalError as error:
            if now() + _PAUSE_S >= ends:
                raise
            logger.warning("the database does not let us in yet", extra={"reason": str(error)})
        sleep(_PAUSE_S)

"""A program that writes to PostgreSQL past the API, as psql or a nightly job does."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, Final

import psycopg2

from proofs.chaos.history import Operation
from proofs.chaos.register import random_row
from proofs.consistency.register import RECORD_CHANGED, TABLE

__all__ = ["SqlWriter"]

_PAUSE_S: Final = 0.6  # on average
_MANY: Final = 0.03  # of the transactions
_ROLLS_BACK: Final = 0.2
_SQL_TIMEOUTS: Final = "set lock_timeout = '1s'; set statement_timeout = '3s'"
_UPDATE: Final = f"""with changed as (
    update {TABLE} set value = value + 1 where {{rows}} returning id, value
) {RECORD_CHANGED}"""
_UPDATE_ROW: Final = _UPDATE.format(rows="id = %(row)s")
_UPDATE_MANY: Final = _UPDATE.format(rows="id >= %(row)s %% 15")  # more than a trigger lists one by one


class SqlWriter:
    """Writes one row, or many, in a transaction, as psql or a nightly job does."""

    def __init__(self, url: str, record: Callable[[Operation], object], goes_on: Callable[[], bool]) -> None:
        self._url = url
        self._record = record
        self._goes_on = goes_on

    def run(self) -> None:
        """Write until told to end, on a new connection after a failure."""
        while self._goes_on():
            try:
                with closing(psycopg2.connect(self._url, connect_timeout=2)) as connection:
                    with connection, connection.cursor() as cursor:
                        cursor.execute(_SQL_TIMEOUTS)
                    while self._goes_on():
                        self._write(connection)
                        time.sleep(random.expovariate(1 / _PAUSE_S))
            except psycopg2.Error:
                time.sleep(_PAUSE_S)

    def _write(self, connection: Any) -> None:
        begin, status, row = time.monotonic(), 0, random_row()
        statement = _UPDATE_MANY if random.random() < _MANY else _UPDATE_ROW
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, {"row": row})
                if random.random() < _ROLLS_BACK:
                    connection.rollback()
                    status = 409
                else:
                    connection.commit()
                    status = 200
        except psycopg2.Error:
            if connection.closed:
                raise
            connection.rollback()
            status = 409
        finally:
            self._record(Operation(begin=begin, end=time.monotonic(), kind="sql", row=row, status=status))

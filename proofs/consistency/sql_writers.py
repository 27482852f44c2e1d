"""SQL writers: processes that bypass the API and write to the table as its owner, as psql would, unaware of the cache.

A transaction has 1 to 20 statements, of one row or of more rows than a trigger lists, and commits or rolls back.
A few transactions truncate the table and fill it again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import closing
from typing import Final

import psycopg2
from psycopg2.extensions import cursor

from proofs.consistency.api_processes import random_row
from proofs.consistency.history import Count, History
from proofs.consistency.register import RECORD_CHANGED
from proofs.consistency.system import SystemUnderTest

__all__ = ["run_sql_writer"]

_MOST_STATEMENTS: Final = 20
_ROLLS_BACK: Final = 0.3
_REFILLS: Final = 0.02

# These transactions and the API's commands lock rows in any order. One that waits for long fails, and is counted.
_TIMEOUTS: Final = "set lock_timeout = '300ms'; set statement_timeout = '2s'"

_UPDATE_ONE: Final = f"""with changed as (
    update register set value = value + 1 where id = %(row)s returning id, value
) {RECORD_CHANGED}"""
# More than 100 rows: recorded as one change of the table.
_UPDATE_MANY: Final = f"""with changed as (
    update register set value = value + 1 where id >= %(row)s %% 15 returning id, value
) {RECORD_CHANGED}"""
_REPLACE: Final = f"""with deleted as (
    delete from register where id = %(row)s returning id, value
), changed as (
    insert into register select id, value + 1 from deleted returning id, value
) {RECORD_CHANGED}"""
_UPDATE_AND_UNDO: Final = f"savepoint before; {_UPDATE_ONE}; rollback to before"

_WEIGHTS: Final = {_UPDATE_ONE: 70, _UPDATE_MANY: 1, _REPLACE: 15, _UPDATE_AND_UNDO: 14}

_TRUNCATE: Final = """lock table register;
create temporary table kept on commit drop as select id, value from register;
truncate register"""
_FILL: Final = f"""with changed as (
    insert into register select id, value + 1 from kept returning id, value
) {RECORD_CHANGED}"""


def run_sql_writer(worker: int, system: SystemUnderTest, history: History) -> None:
    """Write until killed. The outbox checker acknowledges what is committed here."""
    random.seed()
    with closing(psycopg2.connect(system.owner_url)) as connection:
        with connection, connection.cursor() as cur:
            cur.execute(_TIMEOUTS)
        while True:
            write = _refill if random.random() < _REFILLS else _write
            try:
                with connection.cursor() as cur:
                    result = _transaction(cur, write)
            except psycopg2.Error:
                connection.rollback()
                result = Count.TRANSACTION_FAILED
            history.count(worker, result)
            time.sleep(random.random() * 0.12)


def _transaction(cur: cursor, write: Callable[[cursor], None]) -> Count:
    write(cur)
    if random.random() < _ROLLS_BACK:
        cur.connection.rollback()
        return Count.ROLLED_BACK
    cur.connection.commit()
    return Count.COMMITTED


def _write(cur: cursor) -> None:
    # A random power, so that short transactions are as frequent as long ones.
    for _ in range(int(_MOST_STATEMENTS ** random.random())):
        (statement,) = random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        cur.execute(statement, {"row": random_row()})
        time.sleep(random.choice((0, 0, 0, 0.002)))


def _refill(cur: cursor) -> None:
    cur.execute(_TRUNCATE)
    cur.execute(_FILL)

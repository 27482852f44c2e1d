"""Everyone who is not the API: jobs that write to the table as its owner, as psql would, and know of no cache.

A transaction is 1 to 20 statements, of one row or of more than a trigger lists, and ends either way. Now and then it is
one that empties the table and fills it again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import closing
from typing import Final

import psycopg2
from psycopg2.extensions import cursor

from proofs.consistency.api import Servers, random_row
from proofs.consistency.ledger import Happened, Ledger
from proofs.consistency.register import NOTED

__all__ = ["run_job"]

_STATEMENTS_AT_MOST: Final = 20
_ROLLS_BACK: Final = 0.3
_REFILLS: Final = 0.02

# Jobs and commands lock rows in any order. Whoever waits for long gives up, and is counted.
_PATIENCE: Final = "set lock_timeout = '300ms'; set statement_timeout = '2s'"

_ONE_ROW: Final = f"""with changed as (
    update register set value = value + 1 where id = %(row)s returning id, value
) {NOTED}"""
# More than 100 rows: one change of the table.
_MANY_ROWS: Final = f"""with changed as (
    update register set value = value + 1 where id >= %(row)s %% 15 returning id, value
) {NOTED}"""
_REPLACED: Final = f"""with gone as (
    delete from register where id = %(row)s returning id, value
), changed as (
    insert into register select id, value + 1 from gone returning id, value
) {NOTED}"""
_TAKEN_BACK: Final = f"savepoint before; {_ONE_ROW}; rollback to before"

_KINDS: Final = {_ONE_ROW: 70, _MANY_ROWS: 1, _REPLACED: 15, _TAKEN_BACK: 14}

_EMPTY: Final = """lock table register;
create temporary table kept on commit drop as select id, value from register;
truncate register"""
_FILL: Final = f"""with changed as (
    insert into register select id, value + 1 from kept returning id, value
) {NOTED}"""


def run_job(worker: int, servers: Servers, ledger: Ledger) -> None:
    """Write until killed. What it committed is acknowledged by the auditor."""
    random.seed()
    with closing(psycopg2.connect(servers.owner_url)) as connection:
        with connection, connection.cursor() as cur:
            cur.execute(_PATIENCE)
        while True:
            write = _refill if random.random() < _REFILLS else _write
            try:
                with connection.cursor() as cur:
                    happened = _transaction(cur, write)
            except psycopg2.Error:
                connection.rollback()
                happened = Happened.JOB_FAILED
            ledger.count(worker, happened)
            time.sleep(random.random() * 0.12)


def _transaction(cur: cursor, write: Callable[[cursor], None]) -> Happened:
    write(cur)
    if random.random() < _ROLLS_BACK:
        cur.connection.rollback()
        return Happened.ROLLED_BACK
    cur.connection.commit()
    return Happened.COMMITTED


def _write(cur: cursor) -> None:
    # Short ones are as many as long ones.
    for _ in range(int(_STATEMENTS_AT_MOST ** random.random())):
        (statement,) = random.choices(list(_KINDS), list(_KINDS.values()))
        cur.execute(statement, {"row": random_row()})
        time.sleep(random.choice((0, 0, 0, 0.002)))


def _refill(cur: cursor) -> None:
    cur.execute(_EMPTY)
    cur.execute(_FILL)

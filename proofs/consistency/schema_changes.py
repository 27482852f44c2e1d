"""The schema changer: a process that replaces the table and the view behind the queries while all others go on.

It works as a nightly job or a migration does, and calls nothing of the product. Each change is one transaction. The
journal entry of a new view is its generation: an answer made from an older one is stale once that is drained. The
journal entries of a partition are the values that it got while it was detached. The fault campaign makes the same
changes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import closing
from typing import Final

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor

from proofs.consistency.history import Count, History
from proofs.consistency.register import CREATE_VIEW, GENERATION, TABLE, create_table
from proofs.consistency.system import SystemUnderTest

__all__ = ["SchemaChange", "change_schema", "move_partition", "replace_view", "run_schema_changer", "swap"]

# What a transaction does that has the table locked.
SchemaChange = Callable[[cursor, random.Random], None]

_PAUSE_S: Final = (1.0, 3.0)
# These transactions need locks that others hold. One that waits for long fails, and is counted.
_TIMEOUTS: Final = "set local lock_timeout = '1s'; set local statement_timeout = '5s'"

_NEW_GENERATION: Final = f"""
insert into register_journal (id, value)
select id, value + 1 from register_view where id = {GENERATION}
returning value
"""
_ATTACHED: Final = """
select child.relname, pg_get_expr(child.relpartbound, child.oid)
from pg_inherits
join pg_class as child on child.oid = inhrelid
where inhparent = 'register'::regclass
order by relname
"""


def run_schema_changer(worker: int, system: SystemUnderTest, history: History) -> None:
    """Change the schema until killed."""
    rng = random.Random()
    with closing(psycopg2.connect(system.owner_url)) as connection:
        while True:
            try:
                change_schema(connection, rng.choice((swap, replace_view, move_partition)), rng)
                history.count(worker, Count.SCHEMA_CHANGED)
            except psycopg2.Error:
                history.count(worker, Count.SCHEMA_CHANGE_FAILED)
            time.sleep(rng.uniform(*_PAUSE_S))


def change_schema(connection: Connection, change: SchemaChange, rng: random.Random) -> None:
    """Do one change in a transaction of its own. Raises psycopg2.Error, and then has changed nothing."""
    with connection, connection.cursor() as cur:
        cur.execute(_TIMEOUTS)
        cur.execute(f"lock table {TABLE} in access exclusive mode")
        change(cur, rng)


def _new_generation(cur: cursor) -> int:
    cur.execute(_NEW_GENERATION)
    [(generation,)] = cur.fetchall()
    return int(generation)


def swap(cur: cursor, rng: random.Random) -> None:
    """Have a copy of the table take its name. The view is bound to the former table until it is replaced."""
    generation = _new_generation(cur)
    create_table(cur, "register_next", generation)
    cur.execute("insert into register_next select id, value from register")
    if rng.random() < 0.5:
        cur.execute("drop table register cascade")
        cur.execute("alter table register_next rename to register")
        cur.execute(CREATE_VIEW.format(generation=generation))
    else:
        cur.execute("alter table register rename to register_former")
        cur.execute("alter table register_next rename to register")
        cur.execute(CREATE_VIEW.format(generation=generation))
        cur.execute("drop table register_former")


def replace_view(cur: cursor, rng: random.Random) -> None:
    """Have the view show a new generation."""
    cur.execute(CREATE_VIEW.format(generation=_new_generation(cur)))


def move_partition(cur: cursor, rng: random.Random) -> None:
    """Detach a partition, write to it while nothing watches it, and attach it again.

    The view stays. If it were replaced, that would invalidate what the partition did not.
    """
    cur.execute(_ATTACHED)
    name, bounds = rng.choice(cur.fetchall())
    cur.execute(f"alter table register detach partition {name}")
    cur.execute(
        f"""with changed as (update {name} set value = value + 1 where id % 15 = 0 returning id, value)
            insert into register_journal (id, value) select id, value from changed"""
    )
    cur.execute(f"alter table register attach partition {name} {bounds}")

"""The register: the table that all processes write and read, and the API's catalogue for it.

Each write of a row increments its value, so a larger value is newer. Every writer also records each write in a journal,
in the same transaction. The outbox checker compares the journal with the outbox.

Queries read the table through a view, which adds a row of its own: the generation of the view.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Final

import psycopg2
from psycopg2.extensions import cursor

from cacheaside.catalogue.catalogue import Catalogue
from proofs.consistency.history import ROWS

__all__ = [
    "CREATE_VIEW",
    "GENERATION",
    "RECORD_CHANGED",
    "TABLE",
    "create_register",
    "create_table",
    "drop_register",
    "register_catalogue",
]

TABLE: Final = "register"
GENERATION: Final = ROWS  # the row of the view

CREATE_VIEW: Final = f"""create or replace view register_view as
select id, value from register union all select {GENERATION}, {{generation}}::bigint
"""

# Follows a common table expression `changed`, which returns the rows with their new values.
RECORD_CHANGED: Final = "insert into register_journal (id, value) select id, value from changed"

_CREATE: Final = """
create table register_journal (
    transaction_id xid8 not null default pg_current_xact_id(),
    id             integer not null,
    value          bigint not null,
    operation      text -- of `proofs.chaos`, whose checker looks for writes that are lost or doubled
);
grant insert on register_journal to cacheaside_command;
"""
_FILL: Final = f"insert into register select id, 0 from generate_series(0, {ROWS - 1}) as id"
_DROP: Final = "drop table if exists register, register_journal cascade"
# One half of the rows is in a partition, the other in a partition of a partition. `number`: each name is used once.
_CREATE_TABLE: Final = f"""
create table {{name}} (id integer primary key, value bigint not null) partition by range (id);
create table register_low_{{number}} partition of {{name}} for values from (minvalue) to ({ROWS // 2});
create table register_high_{{number}} partition of {{name}} for values from ({ROWS // 2}) to (maxvalue)
    partition by range (id);
create table register_high_all_{{number}} partition of register_high_{{number}} default;
grant select, update on {{name}} to cacheaside_command;
"""

# Short times, so that expiry, stale answers, early refreshes and waits for another process's load all happen often.
_TIMES: Final = """-- ttl = "{ttl}"
-- stale = "300ms"
-- stale_if_error = "0s"
-- timeout = "2s"
-- wait = "4s"
-- jitter = 0.3
"""
# Some loads take long enough that a process is killed, or its renewals are lost, while it loads. The lease is 1 s.
_LOAD_TIME: Final = "pg_sleep(case when random() < 0.005 then 0.8 * random() else 0 end)"
_ONE: Final = """-- summary = "One row"
{times}-- returns = "one"
-- tags = ["register:{{id}}"]
-- params.id = {{ type = "integer" }}
select value from register_view, {load_time} where id = %(id)s
"""
_ALL: Final = """-- summary = "All rows"
{times}-- returns = "one"
-- tags = ["register"]
select array_agg(value order by id) as values from register_view, {load_time}
"""
_INCREMENT: Final = f"""-- summary = "Increment one row"
-- timeout = "2s"
-- returns = "one"
-- params.id = {{ type = "integer" }}
with changed as (
    update register set value = value + 1 where id = %(id)s returning id, value
), recorded as (
    {RECORD_CHANGED}
)
select value from changed
"""


def create_register(owner_url: str, *, trigger_missing: bool = False) -> None:
    """Create the journal and the table, and watch the table. `trigger_missing` is a deliberate defect."""
    with closing(psycopg2.connect(owner_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(_DROP)
        cursor.execute(_CREATE)
        create_table(cursor, TABLE, 0)
        cursor.execute(_FILL)
        cursor.execute(CREATE_VIEW.format(generation=0))
        if not trigger_missing:
            cursor.execute("select cacheaside.watch(%s)", [TABLE])


def create_table(cur: cursor, name: str, number: int) -> None:
    """Create the table, empty, with its partitions. `number` was given to no table that still exists."""
    cur.execute(_CREATE_TABLE.format(name=name, number=number))


def drop_register(owner_url: str) -> None:
    """Drop the table and its journal, and stop watching."""
    with closing(psycopg2.connect(owner_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("select cacheaside.unwatch(tag) from cacheaside.names where tag = %s", [TABLE])
        cursor.execute(_DROP)


def register_catalogue(folder: Path, ttl: str) -> Catalogue:
    """Write the queries `one` and `all` and the command `increment` below `folder`, and load them as the API does."""
    times = _TIMES.format(ttl=ttl)
    queries, commands = folder / "queries", folder / "commands"
    for path in (queries, commands):
        path.mkdir(parents=True)
    (queries / "one.sql").write_text(_ONE.format(times=times, load_time=_LOAD_TIME), encoding="utf-8")
    (queries / "all.sql").write_text(_ALL.format(times=times, load_time=_LOAD_TIME), encoding="utf-8")
    (commands / "increment.sql").write_text(_INCREMENT, encoding="utf-8")
    return Catalogue.load(folder)

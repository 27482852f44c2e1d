"""The register: the table that all processes write and read, and the API's catalogue for it.

Each write of a row increments its value, so a larger value is newer. Every writer also records each write in a journal,
in the same transaction. The outbox checker compares the journal with the outbox.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Final

import psycopg2

from cacheaside.catalogue.catalogue import Catalogue
from proofs.consistency.history import ROWS

__all__ = ["RECORD_CHANGED", "TABLE", "create_register", "drop_register", "register_catalogue"]

TABLE: Final = "register"

# Follows a common table expression `changed`, which returns the rows with their new values.
RECORD_CHANGED: Final = "insert into register_journal (id, value) select id, value from changed"

_CREATE: Final = f"""
create table register (id integer primary key, value bigint not null);
insert into register select id, 0 from generate_series(0, {ROWS - 1}) as id;
create table register_journal (
    transaction_id xid8 not null default pg_current_xact_id(),
    id             integer not null,
    value          bigint not null
);
grant select, update on register to cacheaside_command;
grant insert on register_journal to cacheaside_command;
"""
_DROP: Final = "drop table if exists register, register_journal"

# Short times, so that expiry, stale answers, early refreshes and waits for another process's load all happen often.
_TIMES: Final = """-- ttl = "{ttl}"
-- stale = "300ms"
-- stale_if_error = "0s"
-- timeout = "2s"
-- wait = "4s"
-- jitter = 0.3
"""
_ONE: Final = """-- summary = "One row"
{times}-- returns = "one"
-- tags = ["register:{{id}}"]
-- params.id = {{ type = "integer" }}
select value from register where id = %(id)s
"""
_ALL: Final = """-- summary = "All rows"
{times}-- returns = "one"
-- tags = ["register"]
select array_agg(value order by id) as values from register
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
        if not trigger_missing:
            cursor.execute("select cacheaside.watch(%s)", [TABLE])


def drop_register(owner_url: str) -> None:
    """Drop the table and its journal, and stop watching."""
    with closing(psycopg2.connect(owner_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("select cacheaside.unwatch(%s)", [TABLE])
        cursor.execute(_DROP)


def register_catalogue(folder: Path, ttl: str = "700ms") -> Catalogue:
    """Write the queries `one` and `all` and the command `increment` below `folder`, and load them as the API does."""
    times = _TIMES.format(ttl=ttl)
    queries, commands = folder / "queries", folder / "commands"
    for path in (queries, commands):
        path.mkdir(parents=True)
    (queries / "one.sql").write_text(_ONE.format(times=times), encoding="utf-8")
    (queries / "all.sql").write_text(_ALL.format(times=times), encoding="utf-8")
    (commands / "increment.sql").write_text(_INCREMENT, encoding="utf-8")
    return Catalogue.load(folder)

"""The table that everyone writes to and reads, and the small catalogue of the API for it.

Each write of a row is the next number, so what is newer can be told from what is older. And each is noted in a journal
in the same transaction, whoever makes it: that is how the auditor knows what must have come out of the outbox.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Final

import psycopg2

from cacheaside.catalogue.catalogue import Catalogue
from proofs.consistency.ledger import ROWS

__all__ = ["NOTED", "TABLE", "create_register", "drop_register", "register_catalogue"]

TABLE: Final = "register"

# To be put after a common table expression `changed`, with the rows as they are now.
NOTED: Final = "insert into register_journal (id, value) select id, value from changed"

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

# Short times, so that every path is taken often: expiry, stale answers, early refreshes, waiting for another's load.
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
_INCREMENT: Final = f"""-- summary = "The next number"
-- timeout = "2s"
-- returns = "one"
-- params.id = {{ type = "integer" }}
with changed as (
    update register set value = value + 1 where id = %(id)s returning id, value
), noted as (
    {NOTED}
)
select value from changed
"""


def create_register(owner_url: str, *, recorded: bool = True) -> None:
    """Create the table, watched, and its journal. Not `recorded`: some writes are not, to see that it is found."""
    with closing(psycopg2.connect(owner_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(_DROP)
        cursor.execute(_CREATE)
        cursor.execute("select cacheaside.watch(%s)", [TABLE])
        if not recorded:
            cursor.execute("drop trigger cacheaside_update on register")


def drop_register(owner_url: str) -> None:
    """Leave nothing behind."""
    with closing(psycopg2.connect(owner_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("select cacheaside.unwatch(%s)", [TABLE])
        cursor.execute(_DROP)


def register_catalogue(folder: Path, ttl: str = "700ms") -> Catalogue:
    """Write the queries `one` and `all` and the command `increment` below `folder`, and read them as the API does."""
    times = _TIMES.format(ttl=ttl)
    queries, commands = folder / "queries", folder / "commands"
    for path in (queries, commands):
        path.mkdir(parents=True)
    (queries / "one.sql").write_text(_ONE.format(times=times), encoding="utf-8")
    (queries / "all.sql").write_text(_ALL.format(times=times), encoding="utf-8")
    (commands / "increment.sql").write_text(_INCREMENT, encoding="utf-8")
    return Catalogue.load(folder)

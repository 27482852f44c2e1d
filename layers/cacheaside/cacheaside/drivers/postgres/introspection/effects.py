"""The parts of a query that a read-only transaction refuses, and those that change its answer without a write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from psycopg2.extensions import cursor

from cacheaside.catalogue.quotations import unquoted
from cacheaside.catalogue_check.facts import StatementRefused
from cacheaside.drivers.postgres.introspection.expansion import Expansion

__all__ = ["refuse_writes", "unsteady_parts"]

_LOCKING: Final = r"\bfor\s+(?:no\s+key\s+update|update|key\s+share|share)\b"
# These functions refuse to run in a read-only transaction. PostgreSQL notices that only when it runs them.
_WRITERS: Final = [
    "nextval",
    "setval",
    "lo_creat",
    "lo_create",
    "lo_import",
    "lo_unlink",
    "lo_put",
    "lo_from_bytea",
    "lo_truncate",
    "lo_truncate64",
    "lowrite",
]
# The result is the same within a statement, and another in the next one: by the clock, the session or the server.
_CLOCKS: Final = [
    "now",
    "transaction_timestamp",
    "statement_timestamp",
    "current_setting",
    "current_query",
    "pg_current_snapshot",
    "txid_current_snapshot",
    "pg_backend_pid",
    "pg_postmaster_start_time",
    "pg_conf_load_time",
    "inet_client_addr",
    "inet_client_port",
    "inet_server_addr",
    "inet_server_port",
]
_WRITERS_AMONG: Final = """
select distinct proname from pg_proc
where oid = any (%s::oid[]) and pronamespace = 'pg_catalog'::regnamespace and proname = any (%s)
order by 1
"""
_UNSTEADY_AMONG: Final = """
select distinct
    case when nspname in ('pg_catalog', 'public') then '' else quote_ident(nspname) || '.' end
    || quote_ident(proname) || '()'
from pg_proc
join pg_namespace on pg_namespace.oid = pronamespace
where pg_proc.oid = any (%s::oid[])
  and prosqlbody is null  -- otherwise the functions in its body are among them too
  and (provolatile = 'v' or provolatile = 's' and nspname = 'pg_catalog' and proname = any (%s))
order by 1
"""


def refuse_writes(cur: cursor, found: Expansion, sql: str) -> None:
    """Raise StatementRefused if a read-only transaction, as the one that loads an answer, refuses the query `sql`."""
    if found.locks:
        raise _refusal("for update and for share", sql, _LOCKING)
    if found.writes:
        raise _refusal("insert, update, delete and merge", sql, r"\b(?:insert|update|delete|merge)\b")
    cur.execute(_WRITERS_AMONG, [_functions(found), _WRITERS])
    for (name,) in cur.fetchall():
        raise _refusal(f"{name}()", sql, rf"\b{name}\b")


def unsteady_parts(cur: cursor, found: Expansion) -> Iterator[str]:
    """Yield the parts of a query whose result may change although nothing is written."""
    if found.clock:
        yield "the current date or time"
    if found.draws:
        yield "tablesample"
    cur.execute(_UNSTEADY_AMONG, [_functions(found), _CLOCKS])
    yield from (name for (name,) in cur.fetchall())


def _functions(found: Expansion) -> list[int]:
    return [function for _, function in found.calls]


def _refusal(part: str, sql: str, pattern: str) -> StatementRefused:
    place = re.search(pattern, unquoted(sql), re.IGNORECASE)  # none if it is in a view
    line = sql.count("\n", 0, place.start()) + 1 if place else 0
    return StatementRefused(f"a query is loaded in a read-only transaction, which refuses {part}", line)

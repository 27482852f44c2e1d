"""Reads pg_stat_statements, of PostgreSQL 13 or later, in whatever schema it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor

from local.advice.normalised import normalise
from local.advice.record import Record, Statement

__all__ = ["HOW_TO_SWITCH_ON", "read_pg_stat_statements"]

HOW_TO_SWITCH_ON: Final = """\
nothing is recorded about the statements of this database: {reason}.

  On a server of your own, in postgresql.conf, and a restart:
      shared_preload_libraries = 'pg_stat_statements'
  On RDS or Aurora it is in shared_preload_libraries by default; else add it there in the parameter group, and reboot.
  Then, in this database:
      create extension pg_stat_statements;
  Then wait until your application has run for a while, and call `cacheaside advise` again.

  Or have slow statements logged, and give the file: cacheaside advise --log FILE
      alter system set log_min_duration_statement = '50ms'; select pg_reload_conf();
  On RDS, log_min_duration_statement is in the parameter group as well, and needs no reboot."""

_SCHEMA: Final = """
select nspname, array(
    select attname from pg_attribute
    where attrelid = to_regclass(format('%I.pg_stat_statements', nspname)) and attnum > 0
)::text[], to_regclass(format('%I.pg_stat_statements_info', nspname)) is not null
from pg_extension
join pg_namespace on pg_namespace.oid = extnamespace
where extname = 'pg_stat_statements'
"""
_READ: Final = """
select query, sum(calls)::bigint, sum(total_exec_time)
from {schema}.pg_stat_statements
where dbid = (select oid from pg_database where datname = current_database()) and query is not null {toplevel}
group by query
"""
_SECONDS: Final = "select extract(epoch from clock_timestamp() - {since})::float"


def read_pg_stat_statements(cur: cursor) -> Record | str:
    """Return the record of this database, or why there is none."""
    cur.execute(_SCHEMA)
    row = cur.fetchone()
    if row is None:
        return "the extension pg_stat_statements is not created in it"
    schema, columns, has_info = sql.Identifier(row[0]), row[1], row[2]
    toplevel = sql.SQL("and toplevel" if "toplevel" in columns else "")
    since = sql.SQL(
        "(select stats_reset from {schema}.pg_stat_statements_info)" if has_info else "pg_postmaster_start_time()"
    ).format(schema=schema)
    cur.execute("savepoint reading")
    try:
        cur.execute(sql.SQL(_READ).format(schema=schema, toplevel=toplevel))
        rows = cur.fetchall()
        cur.execute(sql.SQL(_SECONDS).format(since=since))
        [(seconds,)] = cur.fetchall()
    except psycopg2.errors.ObjectNotInPrerequisiteState:
        cur.execute("rollback to savepoint reading")
        return "pg_stat_statements is not in shared_preload_libraries"
    merged: dict[str, Statement] = {}
    for text, calls, total_ms in rows:
        if not calls:
            continue
        one = normalise(text)
        before = merged.get(one.key) or Statement(one.key, one.sql(lambda _: False)[0], 0, 0.0)
        merged[one.key] = replace(before, calls=before.calls + calls, total_ms=before.total_ms + total_ms)
    return Record("pg_stat_statements", list(merged.values()), max(seconds, 1.0), has_writes=True)

"""The tables that statements read: their sizes, keys, and how often they are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from psycopg2.extensions import cursor

from local.advice.record import Record, writes_to

__all__ = ["Column", "Table", "Writes", "read_columns", "read_tables", "read_writes"]

_TABLES: Final = """
select pg_class.oid::bigint, pg_class.oid::regclass::text, pg_class.relname, sum(live), sum(changed),
    array(
        select attname from pg_index
        cross join unnest(indkey::smallint[]) as key (number)
        join pg_attribute on attrelid = indrelid and attnum = key.number
        where indrelid = pg_class.oid and indisprimary
    )::text[]
from pg_class
cross join lateral (
    select relid from pg_partition_tree(pg_class.oid) where isleaf and relkind = 'p'
    union all select pg_class.oid where relkind <> 'p'
) as leaf (relid)
join pg_class as stored on stored.oid = leaf.relid
cross join lateral (
    select greatest(stored.reltuples, pg_stat_get_live_tuples(stored.oid)) as live,
        -- Rows that were inserted and are still there may all have come with one restore.
        pg_stat_get_tuples_updated(stored.oid) + pg_stat_get_tuples_deleted(stored.oid)
        + greatest(0, pg_stat_get_tuples_inserted(stored.oid) - pg_stat_get_live_tuples(stored.oid)) as changed
) as counted
where pg_class.oid = any (%s::oid[])
group by pg_class.oid, pg_class.relname
"""
_COLUMNS: Final = """
select pg_class.oid::bigint, pg_stats.attname, n_distinct
from pg_class
join pg_namespace on pg_namespace.oid = relnamespace
join pg_stats on schemaname = nspname and tablename = relname
where pg_class.oid = any (%s::oid[])
"""
_OIDS: Final = """
select name, to_regclass(name)::oid::bigint from unnest(%s::text[]) as name where to_regclass(name) is not null
"""
_SECONDS: Final = """
select extract(epoch from clock_timestamp() - coalesce(stats_reset, pg_postmaster_start_time()))::float
from pg_stat_database where datname = current_database()
"""

Column = tuple[int, str]  # a relation's OID and the name


@dataclass(frozen=True, slots=True)
class Table:
    """A table as the statistics of PostgreSQL know it."""

    oid: int
    sql: str  # its name, quoted where needed
    name: str
    rows: float
    changed_rows: float
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Writes:
    """Writes per second by OID of the table, and whose count it is."""

    rates: Mapping[int, float]
    source: str


def read_tables(cur: cursor, oids: Collection[int]) -> dict[int, Table]:
    """Return the tables by OID. Views are not among them."""
    cur.execute(_TABLES, [list(oids)])
    return {
        oid: Table(oid, written, name, float(max(live, 0)), float(changed or 0), tuple(key))
        for oid, written, name, live, changed, key in cur.fetchall()
    }


def read_columns(cur: cursor, tables: Mapping[int, Table]) -> dict[Column, float]:
    """Return how many different values each column has, if PostgreSQL knows it."""
    cur.execute(_COLUMNS, [list(tables)])
    # A negative number is a share of the rows.
    return {
        (oid, name): -distinct * tables[oid].rows if distinct < 0 else distinct
        for oid, name, distinct in cur.fetchall()
        if distinct
    }


def read_writes(cur: cursor, record: Record, tables: Mapping[int, Table]) -> Writes:
    """Return the rates of writes: from the recorded statements if all that write are among them, else from counters.

    The counters are those of changed rows since the statistics were reset, so they count a statement once per row.
    """
    if not record.has_writes:
        cur.execute(_SECONDS)
        [(seconds,)] = cur.fetchall()
        rates = {oid: table.changed_rows / max(seconds, 1.0) for oid, table in tables.items()}
        return Writes(rates, "the rows that pg_stat_user_tables counts as changed, an upper bound")
    calls: Counter[str] = Counter()
    for each in record.statements:
        for name in dict.fromkeys(writes_to(each.key)):
            calls[name] += each.calls
    cur.execute(_OIDS, [list(calls)])
    of_table: Counter[int] = Counter()
    for name, oid in cur.fetchall():
        of_table[oid] += calls[name]
    rates = {oid: of_table[oid] / record.seconds for oid in tables}
    return Writes(rates, f"those in {record.source}, without those inside functions and triggers")

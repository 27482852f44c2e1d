"""What a query reads, asked of PostgreSQL itself, which records it for every view. No query is run.

    the query, as a view of a transaction that is rolled back
      ├── view                                   followed to what it names
      ├── table, materialized view               read; a partition counts as the table that it is a part of
      ├── function whose body is parsed          followed: those in SQL with begin atomic or return; so are aggregates,
      │                                          operators and policies
      └── any other function                     opaque: what it reads stands in a string

The plan would not do instead: it lacks what the planner could leave out this time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import psycopg2
from psycopg2.extensions import connection, cursor

from cacheaside.catalogue.statements import Query
from cacheaside.catalogue.tags import parameters_of, table_of
from cacheaside.drivers.postgres.introspection.database_objects import Found, describe, find
from cacheaside.drivers.postgres.introspection.generic_plan import scans
from cacheaside.tag_check.facts import Facts, Kind, QueryRefused, Scan, Source
from cacheaside.tag_check.samples import samples

__all__ = ["Dependencies", "dependencies"]

# Neither someone's exclusive lock nor a stable function that the planner tries may hold the check up for long.
_GUARD: Final = "set local lock_timeout = '5s'; set local statement_timeout = '10s'; set local timezone = 'UTC'"

# A subquery may have two columns of one name, and a view may not.
_VIEW: Final = "create temp view cacheaside_query as select 1 as one from (\n{sql}\n) as answer"

# What came with PostgreSQL is not in pg_depend. An immutable function has promised to read nothing, and functions of
# extensions do not know our tables, but for those of three, which run what they are given as text.
_READ: Final = """
with recursive reached (class, object, in_plan) as (
    select 'pg_class'::regclass::oid, 'pg_temp.cacheaside_query'::regclass::oid, true
    union
    select refclassid, refobjid, body.in_plan
    from reached
    cross join lateral (
        select 'pg_rewrite'::regclass, pg_rewrite.oid, reached.in_plan
        from pg_rewrite
        join pg_class on pg_class.oid = ev_class
        where reached.class = 'pg_class'::regclass and ev_class = reached.object and relkind = 'v'
        union all
        select 'pg_policy'::regclass, pg_policy.oid, false
        from pg_policy
        where reached.class = 'pg_class'::regclass and polrelid = reached.object and polcmd in ('r', '*')
        union all
        select reached.class, reached.object, false
        where reached.class in ('pg_proc'::regclass, 'pg_operator'::regclass)
    ) as body (class, object, in_plan)
    join pg_depend on classid = body.class and objid = body.object and refobjid <> reached.object
)
select 'pg_class' as class, coalesce(pg_partition_root(pg_class.oid), pg_class.oid)::bigint, bool_and(in_plan)
from reached
join pg_class on class = 'pg_class'::regclass and pg_class.oid = object
join pg_namespace on pg_namespace.oid = relnamespace
where relkind in ('r', 'p', 'm', 'f', 'S') and nspname not in ('pg_catalog', 'information_schema')
group by 2
union all
select distinct 'pg_proc', object::bigint, false
from reached
join pg_proc on class = 'pg_proc'::regclass and pg_proc.oid = object
join pg_namespace on pg_namespace.oid = pronamespace
where provolatile <> 'i'
  and prosqlbody is null
  and nspname not in ('pg_catalog', 'information_schema')
  and not exists (
      select from pg_depend
      join pg_extension on pg_extension.oid = refobjid
      where classid = 'pg_proc'::regclass
        and objid = pg_proc.oid
        and refclassid = 'pg_extension'::regclass
        and extname not in ('dblink', 'tablefunc', 'xml2')
  )
"""

# What PostgreSQL says against a query. All else is between us and the server.
_ITS_FAULT: Final = (
    *(psycopg2.ProgrammingError, psycopg2.DataError, psycopg2.NotSupportedError),
    *(psycopg2.errors.LockNotAvailable, psycopg2.errors.QueryCanceled),
)


class Dependencies:
    """Answers questions about queries within one transaction; made by `dependencies`."""

    def __init__(self, cur: cursor) -> None:
        self._cur = cur

    def facts(self, query: Query) -> Facts:
        """Return all that is known about `query`. Raises QueryRefused, or psycopg2.Error for what is not its fault."""
        read = self._read(query)
        sources = self._sources(read)
        return Facts(
            read={tag: source for tag, source in sources.items() if source.kind is not Kind.FUNCTION},
            opaque={tag: source for tag, source in sources.items() if source.kind is Kind.FUNCTION},
            declared=self._sources(find(self._cur, [table_of(tag) for tag in query.tags])),
            scans=tuple(self._scans(query)) if any(map(parameters_of, query.tags)) else (),
            out_of_plan=frozenset(self._sources([found for found, in_plan in read.items() if not in_plan])),
        )

    def _read(self, query: Query) -> dict[Found, bool]:
        """Return all that the query reads or calls, and whether its plan would show where."""
        with self._attempt() as cur:
            cur.execute(_VIEW.format(sql=query.sql), samples(query.parameters))
            cur.execute(_READ)
            return {Found(catalogue, oid): in_plan for catalogue, oid, in_plan in cur.fetchall()}

    def _scans(self, query: Query) -> list[Scan]:
        try:
            with self._attempt() as cur:
                return scans(cur, query.sql, query.parameters)
        except QueryRefused as refused:
            reason = (
                "a tag names a row, which cannot be checked, because PostgreSQL (16 or later) cannot plan the query "
                f"without values: {refused.reason}; cast parameters, as in %(name)s::interval, or tag the whole table"
            )
            raise QueryRefused(reason, refused.line) from refused

    def _sources(self, found: Collection[Found]) -> dict[str, Source]:
        return {source.tag: source for source in describe(self._cur, found)}

    @contextmanager
    def _attempt(self) -> Iterator[cursor]:
        """Undo whatever is done within. What PostgreSQL says against the query comes out as QueryRefused."""
        self._cur.execute("savepoint attempt")
        try:
            yield self._cur
        except _ITS_FAULT as error:
            raise _refused(error, self._cur.query or b"") from error
        finally:
            self._cur.execute("rollback to savepoint attempt")


@contextmanager
def dependencies(connection: connection) -> Iterator[Dependencies]:
    """Ask within a transaction of `connection` that leaves nothing behind."""
    with suppress(_Done), connection, connection.cursor() as cur:
        cur.execute(_GUARD)
        yield Dependencies(cur)
        raise _Done


class _Done(Exception):
    """Makes psycopg2 roll back, in autocommit mode as well."""


def _refused(error: psycopg2.Error, statement: bytes) -> QueryRefused:
    said = error.diag
    reason = ". ".join(part for part in (said.message_primary, said.message_detail, said.message_hint) if part)
    # Counted in characters, from 1. The query begins on the second line of the statement.
    position = int(said.statement_position or 0)
    return QueryRefused(reason, statement.decode()[: max(position - 1, 0)].count("\n"))

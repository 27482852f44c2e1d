"""The objects that a query reads, from the dependencies that PostgreSQL records for every view. No query is run.

    check_tags ──► Dependencies ──► database_objects (objects by tag or OID), generic_plan (scans, if a tag names a row)

    the query, as a view in a transaction that is rolled back
      ├── view, aggregate, operator, policy, parsed function    its dependencies are followed
      ├── table, materialized view                              read; a partition counts as its partitioned table
      └── function without BEGIN ATOMIC or RETURN               opaque: its body is a string

A plan is no substitute: it lacks the relations that the planner could remove this time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import psycopg2
from psycopg2.extensions import connection, cursor

from cacheaside.catalogue.statements import Query
from cacheaside.catalogue.tags import parameters_of, table_of
from cacheaside.drivers.postgres.introspection.database_objects import ObjectId, describe, find_objects
from cacheaside.drivers.postgres.introspection.generic_plan import scans
from cacheaside.tag_check.facts import DatabaseObject, Facts, ObjectKind, QueryRefused, Scan
from cacheaside.tag_check.samples import samples

__all__ = ["Dependencies", "dependencies"]

# Neither an exclusive lock of another session nor a stable function that the planner evaluates may delay the check.
_TIMEOUTS: Final = "set local lock_timeout = '5s'; set local statement_timeout = '10s'; set local timezone = 'UTC'"

# The query is a subquery, because it may have two columns of one name and a view may not.
_CREATE_VIEW: Final = "create temp view cacheaside_query as select 1 as one from (\n{sql}\n) as answer"

# pg_depend does not list PostgreSQL's own objects. Immutable functions are declared to read nothing. Functions of
# extensions do not know our tables, except those of three extensions, which run SQL from their arguments.
_OBJECTS_READ: Final = """
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

# The errors that the query causes. The others are about the connection or the server.
_QUERY_ERRORS: Final = (
    *(psycopg2.ProgrammingError, psycopg2.DataError, psycopg2.NotSupportedError),
    *(psycopg2.errors.LockNotAvailable, psycopg2.errors.QueryCanceled),
)


class Dependencies:
    """Reads the facts about queries in one transaction, which `dependencies` begins and rolls back."""

    def __init__(self, cur: cursor) -> None:
        self._cur = cur

    def facts(self, query: Query) -> Facts:
        """Return the facts about `query`. Raises QueryRefused if it is wrong, psycopg2.Error for all other failures."""
        read = self._objects_read(query)
        objects = self._described(read)
        return Facts(
            read={tag: each for tag, each in objects.items() if each.kind is not ObjectKind.FUNCTION},
            opaque={tag: each for tag, each in objects.items() if each.kind is ObjectKind.FUNCTION},
            declared=self._described(find_objects(self._cur, [table_of(tag) for tag in query.tags])),
            scans=tuple(self._scans(query)) if any(map(parameters_of, query.tags)) else (),
            out_of_plan=frozenset(self._described([each for each, in_plan in read.items() if not in_plan])),
        )

    def _objects_read(self, query: Query) -> dict[ObjectId, bool]:
        """Return the objects that the query reads or calls, each with whether the query's plan has all its scans."""
        with self._savepoint() as cur:
            cur.execute(_CREATE_VIEW.format(sql=query.sql), samples(query.parameters))
            cur.execute(_OBJECTS_READ)
            return {ObjectId(catalog, oid): in_plan for catalog, oid, in_plan in cur.fetchall()}

    def _scans(self, query: Query) -> list[Scan]:
        try:
            with self._savepoint() as cur:
                return scans(cur, query.sql, query.parameters)
        except QueryRefused as refused:
            reason = (
                "a tag names a row, which cannot be checked, because PostgreSQL (16 or later) cannot plan the query "
                f"without values: {refused.reason}; cast parameters, as in %(name)s::interval, or tag the whole table"
            )
            raise QueryRefused(reason, refused.line) from refused

    def _described(self, ids: Collection[ObjectId]) -> dict[str, DatabaseObject]:
        return {each.tag: each for each in describe(self._cur, ids)}

    @contextmanager
    def _savepoint(self) -> Iterator[cursor]:
        """Roll back the block's changes. Raises QueryRefused for errors that the query causes."""
        self._cur.execute("savepoint attempt")
        try:
            yield self._cur
        except _QUERY_ERRORS as error:
            raise _refused(error, self._cur.query or b"") from error
        finally:
            self._cur.execute("rollback to savepoint attempt")


@contextmanager
def dependencies(connection: connection) -> Iterator[Dependencies]:
    """Yield a reader of facts, and roll back its transaction after the block."""
    with suppress(_RollBack), connection, connection.cursor() as cur:
        cur.execute(_TIMEOUTS)
        yield Dependencies(cur)
        raise _RollBack


class _RollBack(Exception):
    """Makes psycopg2 roll back, in autocommit mode as well."""


def _refused(error: psycopg2.Error, statement: bytes) -> QueryRefused:
    diag = error.diag
    reason = ". ".join(part for part in (diag.message_primary, diag.message_detail, diag.message_hint) if part)
    # In characters, from 1. The query begins on the second line of the statement.
    position = int(diag.statement_position or 0)
    return QueryRefused(reason, statement.decode()[: max(position - 1, 0)].count("\n"))

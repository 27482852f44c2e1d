"""The relations and functions that a statement reads or calls, from the dependencies that PostgreSQL records.

    the statement, as a function with BEGIN ATOMIC
      ├── view, aggregate, operator, policy, parsed function    its dependencies are followed
      ├── table, materialized view                              read; a partition counts as its partitioned table
      └── function without BEGIN ATOMIC or RETURN               opaque: its body is a string

A plan is no substitute: it lacks the relations that the planner could remove this time.
"""

from __future__ import annotations

from typing import Final

from psycopg2.extensions import cursor

from cacheaside.drivers.postgres.introspection.database_objects import ObjectId

__all__ = ["dependencies"]

# pg_depend does not list PostgreSQL's own objects. Immutable functions are declared to read nothing. Functions of
# extensions do not know our tables, except those of three extensions, which run SQL from their arguments.
_OBJECTS_READ: Final = """
with recursive reached (class, object, in_plan) as (
    select 'pg_proc'::regclass::oid, %(statement)s::oid, true
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
        select reached.class, reached.object, reached.object = %(statement)s
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


def dependencies(cur: cursor, statement: int) -> dict[ObjectId, bool]:
    """Return the objects that a function depends on, each with whether the plan of its statement has all its scans."""
    cur.execute(_OBJECTS_READ, {"statement": statement})
    return {ObjectId(catalog, oid): in_plan for catalog, oid, in_plan in cur.fetchall()}

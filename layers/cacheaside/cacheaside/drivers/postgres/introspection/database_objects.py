"""Looks up tables, materialized views and functions: by tag, their keys, and whether their changes are recorded."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from psycopg2.extensions import cursor

from cacheaside.catalogue_check.facts import DatabaseObject, KeyColumn, ObjectKind

__all__ = ["ObjectId", "describe", "find_objects"]

# As the tag is written or, if nothing has that name, in lower case.
_OBJECTS_OF_TAGS: Final = """
with wanted as (
    select tag, spelling, cacheaside.schema_of(spelling) as schema, cacheaside.name_of(spelling) as name
    from unnest(%(tags)s::text[]) as tag
    cross join lateral (values (tag), (lower(tag))) as tried (spelling)
),
found as (
    select tag, spelling, 'pg_class' as catalog, pg_class.oid::bigint
    from wanted
    join pg_namespace on nspname = schema
    join pg_class on relnamespace = pg_namespace.oid and relname = name
    where relkind in ('r', 'p', 'm', 'f', 'S') and not relispartition
    union
    select tag, spelling, 'pg_proc', pg_proc.oid::bigint
    from wanted
    join pg_namespace on nspname = schema
    join pg_proc on pronamespace = pg_namespace.oid and proname = name
)
select tag, catalog, oid from found
where tag = spelling or tag not in (select tag from found where tag = spelling)
order by catalog desc
"""

_RELATIONS: Final = """
select
    cacheaside.tag(pg_class.oid),
    relkind = 'm',
    pg_class.oid::regclass::text,
    coalesce((
        select json_agg(json_build_array(name, case when typtype = 'e' then 'enum' else type::text end) order by number)
        from cacheaside.key_columns(pg_class.oid)
        join pg_type on pg_type.oid = type
    ), '[]'),
    case
        when relkind = 'm' then cacheaside.follows_schema()
        else exists (select from cacheaside.watched where tag = cacheaside.tag(pg_class.oid) and complete)
    end
from pg_class
where pg_class.oid = any (%(oids)s::oid[])
"""

_FUNCTIONS: Final = """
select distinct cacheaside.tag_of(nspname, proname)
from pg_proc
join pg_namespace on pg_namespace.oid = pronamespace
where pg_proc.oid = any (%(oids)s::oid[])
"""


class ObjectId(NamedTuple):
    """The system catalog that lists an object of the database, pg_class or pg_proc, and the OID there."""

    catalog: str
    oid: int


def find_objects(cur: cursor, tags: Collection[str]) -> list[tuple[str, ObjectId]]:
    """Return each tag with the objects that it names. One tag may name a table and, before that, a function."""
    cur.execute(_OBJECTS_OF_TAGS, {"tags": list(tags)})
    return [(tag, ObjectId(catalog, oid)) for tag, catalog, oid in cur.fetchall()]


def describe(cur: cursor, ids: Collection[ObjectId]) -> Iterator[DatabaseObject]:
    """Yield the facts about each object."""
    cur.execute(_FUNCTIONS, {"oids": [oid for catalog, oid in ids if catalog == "pg_proc"]})
    for (tag,) in cur.fetchall():
        yield DatabaseObject(tag=tag, kind=ObjectKind.FUNCTION, name=tag)
    cur.execute(_RELATIONS, {"oids": [oid for catalog, oid in ids if catalog == "pg_class"]})
    for tag, materialized, name, key, recorded in cur.fetchall():
        yield DatabaseObject(
            tag=tag,
            kind=ObjectKind.MATERIALIZED_VIEW if materialized else ObjectKind.TABLE,
            name=name,
            key=tuple(KeyColumn(*column) for column in key),
            recorded=recorded,
            refusal="" if recorded or materialized else _refusal(cur, name),
        )


def _refusal(cur: cursor, name: str) -> str:
    """Return why a table cannot be watched, or "" if it can."""
    cur.execute("select cacheaside.unwatchable(%s)", [name])
    [(reason,)] = cur.fetchall()
    return reason or ""

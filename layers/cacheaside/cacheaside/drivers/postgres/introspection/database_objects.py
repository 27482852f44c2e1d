"""Tables, materialized views and functions as a tag sees them: what their names mean, and who records their changes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final, NamedTuple

import psycopg2
from psycopg2.extensions import cursor

from cacheaside.tag_check.facts import KeyColumn, Kind, Source

__all__ = ["Found", "describe", "find"]

_FIND: Final = """
with wanted as (
    select
        case when tag ~ '[.]' then split_part(tag, '.', 1) else 'public' end as schema,
        case when tag ~ '[.]' then substr(tag, strpos(tag, '.') + 1) else tag end as name
    from unnest(%(tags)s::text[]) as tag
)
select 'pg_class', pg_class.oid::bigint
from wanted
join pg_namespace on nspname = schema
join pg_class on relnamespace = pg_namespace.oid and relname = name
where relkind in ('r', 'p', 'm', 'f', 'S')
union all
select 'pg_proc', pg_proc.oid::bigint
from wanted
join pg_namespace on nspname = schema
join pg_proc on pronamespace = pg_namespace.oid and proname = name
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
        when relkind = 'm' then exists (
            select from pg_event_trigger where evtname = 'cacheaside_follow_schema' and evtenabled in ('O', 'A')
        )
        else exists (select from cacheaside.watched where tag = cacheaside.tag(pg_class.oid) and complete)
    end
from pg_class
where pg_class.oid = any (%(oids)s::oid[])
"""

_FUNCTIONS: Final = """
select distinct case when nspname = 'public' then proname else nspname || '.' || proname end
from pg_proc
join pg_namespace on pg_namespace.oid = pronamespace
where pg_proc.oid = any (%(oids)s::oid[])
"""


class Found(NamedTuple):
    """An object of the database: the catalogue that lists it, pg_class or pg_proc, and its number there."""

    catalogue: str
    oid: int


def find(cur: cursor, tags: Collection[str]) -> list[Found]:
    """Return what there is of those names. A tag may name a table and a function at once."""
    cur.execute(_FIND, {"tags": list(tags)})
    return [Found(*row) for row in cur.fetchall()]


def describe(cur: cursor, found: Collection[Found]) -> Iterator[Source]:
    """Yield each as the source of an answer."""
    cur.execute(_FUNCTIONS, {"oids": [oid for catalogue, oid in found if catalogue == "pg_proc"]})
    for (tag,) in cur.fetchall():
        yield Source(tag=tag, kind=Kind.FUNCTION, name=tag)
    cur.execute(_RELATIONS, {"oids": [oid for catalogue, oid in found if catalogue == "pg_class"]})
    for tag, materialized, name, key, recorded in cur.fetchall():
        yield Source(
            tag=tag,
            kind=Kind.MATERIALIZED_VIEW if materialized else Kind.TABLE,
            name=name,
            key=tuple(KeyColumn(*column) for column in key),
            recorded=recorded,
            refusal="" if recorded or materialized else _refusal(cur, name),
        )


def _refusal(cur: cursor, name: str) -> str:
    """Return why a table cannot be watched, or nothing if it can."""
    cur.execute("savepoint watchable")
    try:
        cur.execute("select cacheaside.refuse_unwatchable(%s)", [name])
    except psycopg2.errors.RaiseException as refusal:
        said: Any = refusal.diag
        return ". ".join(part for part in (said.message_primary, said.message_hint) if part)
    finally:
        cur.execute("rollback to savepoint watchable")
    return ""

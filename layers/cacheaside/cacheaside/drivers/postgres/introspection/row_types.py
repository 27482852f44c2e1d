"""The columns of a statement's rows, each with its type, the JSON Schema of its values and an example.

PostgreSQL plans and runs nothing for it: it only parses a prepared statement, and then knows the types of its result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from psycopg2.extensions import cursor

from cacheaside.catalogue.columns import Column
from cacheaside.catalogue.statements import Statement
from cacheaside.catalogue_check.samples import samples
from cacheaside.drivers.postgres.introspection.declared_statement import declare
from cacheaside.drivers.postgres.introspection.rendered_types import OTHER, RENDERED, Rendered
from cacheaside.drivers.postgres.typed_sql import with_values

__all__ = ["columns_of"]

_PREPARE: Final = "prepare cacheaside_described as\n{sql}\n"
_RESULT_TYPES: Final = """
select result_types::oid[]::bigint[] from pg_prepared_statements where name = 'cacheaside_described'
"""
_DEALLOCATE: Final = "deallocate cacheaside_described"

# These types and those that they are made of. `row_to_json` asks the same: whether the type is a domain, an array or a
# composite type, and then whether a function casts it to json, as one does hstore.
_TYPES: Final = """
with recursive reached (type) as (
    select unnest(%s::oid[])
    union
    select part.type
    from reached
    join pg_type on pg_type.oid = reached.type
    cross join lateral (
        select typbasetype where typtype = 'd'
        union all
        select typelem where typsubscript = 'array_subscript_handler'::regproc
        union all
        select atttypid from pg_attribute where attrelid = typrelid and attnum > 0 and not attisdropped
    ) as part (type)
)
select
    pg_type.oid::bigint,
    format_type(pg_type.oid, null),
    case when typnamespace = 'pg_catalog'::regnamespace then typname else '' end::text,
    case when typtype = 'd' then typbasetype::bigint end,
    case when typsubscript = 'array_subscript_handler'::regproc then typelem::bigint end,
    case when typtype = 'c' then (
        select coalesce(json_agg(json_build_array(attname, atttypid::bigint) order by attnum), '[]')
        from pg_attribute
        where attrelid = typrelid and attnum > 0 and not attisdropped
    ) end,
    case when typtype = 'e' then array(
        select enumlabel::text from pg_enum where enumtypid = pg_type.oid order by enumsortorder
    ) end,
    exists (select from pg_cast where castsource = pg_type.oid and casttarget = 'json'::regtype and castmethod = 'f')
from reached
join pg_type on pg_type.oid = type
"""

# A child table or a foreign server may lack the constraint. In PostgreSQL 18 it may be one that is not valid yet.
_NOT_NULL: Final = """
select attrelid::bigint, attnum::integer
from unnest(%s::oid[], %s::smallint[]) as origin (relation, number)
join pg_attribute on attrelid = relation and attnum = number
join pg_class on pg_class.oid = attrelid
where attnotnull
  and (relkind = 'p' or relkind = 'r' and not exists (select from pg_inherits where inhparent = attrelid))
  and not exists (
      select from pg_constraint
      where conrelid = attrelid and contype = 'n' and conkey = array[attnum] and not convalidated
  )
"""


class _Type(NamedTuple):
    name: str
    own_name: str  # of a type of PostgreSQL itself, else ""
    base: int | None  # of a domain
    element: int | None  # of an array
    attributes: Sequence[tuple[str, int]] | None  # of a composite type
    labels: Sequence[str] | None  # of an enum type
    is_cast_to_json: bool


def columns_of(cur: cursor, statement: Statement) -> tuple[Column, ...]:
    """Return the columns, in their order. Raises StatementRefused, or psycopg2.Error.

    The caller rolls back. Until then the statement is a temporary function, too.
    """
    declared = declare(cur, statement)  # it refuses a second statement
    cur.execute(_PREPARE.format(sql=with_values(statement, samples(statement.parameters))))
    try:
        cur.execute(_RESULT_TYPES)
        [(oids,)] = cur.fetchall()
    finally:
        cur.execute(_DEALLOCATE)  # a rollback does not
    cur.execute(_TYPES, [oids])
    types = {oid: _Type(*facts) for oid, *facts in cur.fetchall()}
    cur.execute(_NOT_NULL, [[table for table, _ in declared.origins], [number for _, number in declared.origins]])
    not_null = set(cur.fetchall())
    return tuple(
        _column(name, types, oid, is_nullable=origin not in not_null)
        for name, oid, origin in zip(declared.columns, oids, declared.origins, strict=True)
    )


def _column(name: str, types: Mapping[int, _Type], oid: int, *, is_nullable: bool) -> Column:
    schema, example = _rendered(types, oid)
    if not is_nullable and "type" in schema:  # a value of json may be its null
        kinds = [kind for kind in schema["type"] if kind != "null"]
        schema = {**schema, "type": kinds if len(kinds) > 1 else kinds[0]}
        if "enum" in schema:
            schema["enum"] = [label for label in schema["enum"] if label is not None]
    return Column(name, types[oid].name, schema, example)


def _rendered(types: Mapping[int, _Type], oid: int) -> Rendered:
    """Return what the values of a type look like. No type of PostgreSQL is a part of itself."""
    type_ = types[oid]
    if type_.base is not None:
        return _rendered(types, type_.base)
    if type_.element is not None:
        items = _rendered(types, type_.element)
        return Rendered({"type": ["array", "null"], "items": items.schema}, [items.example])
    if type_.attributes is not None:
        attributes = {name: _rendered(types, part) for name, part in type_.attributes}
        schema: dict[str, Any] = {
            "type": ["object", "null"],
            "properties": {name: each.schema for name, each in attributes.items()},
            "required": list(attributes),
        }
        return Rendered(schema, {name: each.example for name, each in attributes.items()})
    if type_.is_cast_to_json:
        return RENDERED["json"]
    if type_.labels is not None:
        return Rendered({"type": ["string", "null"], "enum": [*type_.labels, None]}, next(iter(type_.labels), None))
    return RENDERED.get(type_.own_name, OTHER)

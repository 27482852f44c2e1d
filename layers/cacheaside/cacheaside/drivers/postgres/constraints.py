"""What forbids a write has to say to a caller: which fields it is about, and what is wrong.

    Conflict          unique, exclusion, foreign key of rows that still refer to what is changed
    Unprocessable     foreign key to no row, not null, check; a value that does not fit into its column

PostgreSQL names the column of a not null, and of all others only the constraint: its columns are in the catalog. It
names nothing where a value does not fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import cursor

from cacheaside.errors import Conflict, ConstraintViolated, Unprocessable

__all__ = ["DOES_NOT_FIT", "columns_of", "violation"]


class _Rule(NamedTuple):
    kind: type[ConstraintViolated]
    says: str


_STILL_REFERRED_TO: Final = _Rule(Conflict, "something still refers to it")
_REFERS_TO_NOTHING: Final = _Rule(Unprocessable, "what it refers to does not exist")
_ANY_OTHER: Final = _Rule(Unprocessable, "a constraint forbids it")
_RULES: Final[Mapping[str, _Rule]] = {
    errorcodes.UNIQUE_VIOLATION: _Rule(Conflict, "there is one like it already"),
    errorcodes.EXCLUSION_VIOLATION: _Rule(Conflict, "another one is in its way"),
    errorcodes.RESTRICT_VIOLATION: _STILL_REFERRED_TO,
    errorcodes.NOT_NULL_VIOLATION: _Rule(Unprocessable, "a value is missing"),
    errorcodes.CHECK_VIOLATION: _Rule(Unprocessable, "the rule {constraint} forbids it"),
}

# SQLSTATE of data that the types of the columns refuse. Of others in its class the statement may be to blame.
DOES_NOT_FIT: Final = frozenset(
    [
        errorcodes.STRING_DATA_RIGHT_TRUNCATION,
        errorcodes.NUMERIC_VALUE_OUT_OF_RANGE,
        errorcodes.INVALID_DATETIME_FORMAT,
        errorcodes.DATETIME_FIELD_OVERFLOW,
        errorcodes.INVALID_TEXT_REPRESENTATION,
    ]
)

# What is unique has an index of its constraint's name, or is only an index. Its expressions are columns number 0.
_COLUMNS: Final = """
with changed as (
    select pg_class.oid
    from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    where nspname = %(schema)s and relname = %(table)s
),
found as (
    select indrelid as relation, (indkey::smallint[])[0:indnkeyatts - 1] as numbers
    from pg_index
    join pg_class on pg_class.oid = indexrelid
    where indrelid in (table changed) and relname = %(constraint)s
    union all
    select
        case when %(referred_to)s then confrelid else conrelid end,
        case when %(referred_to)s then confkey else conkey end
    from pg_constraint
    where conrelid in (table changed) and conname = %(constraint)s and contype in ('f', 'c')
)
select attname::text
from found
cross join unnest(numbers) with ordinality as numbered (number, place)
join pg_attribute on attrelid = relation and attnum = number
where number > 0
order by place
"""


def violation(error: psycopg2.Error) -> ConstraintViolated:
    """Return what is wrong, with the column or else the name of the constraint for its field."""
    kind, says = _rule_of(error)
    constraint = error.diag.constraint_name
    field = error.diag.column_name or constraint
    return kind(says.format(constraint=constraint or "of a function"), [field] if field else [])


def columns_of(cur: cursor, error: psycopg2.Error) -> list[str]:
    """Return the columns of the constraint in its order, as the catalog has them; none if it is one of expressions.

    Of a foreign key they are those of the table that was to be changed. Not to be asked in the transaction that failed.
    """
    diag = error.diag
    names: dict[str, Any] = {"schema": diag.schema_name, "table": diag.table_name, "constraint": diag.constraint_name}
    cur.execute(_COLUMNS, {**names, "referred_to": _rule_of(error) is _STILL_REFERRED_TO})
    return [name for (name,) in cur.fetchall()]


def _rule_of(error: psycopg2.Error) -> _Rule:
    if error.pgcode == errorcodes.FOREIGN_KEY_VIOLATION:
        # Only the text says on which side. In another language than English it is taken to be the side that conflicts.
        referring = (error.diag.message_primary or "").startswith("insert or update")
        return _REFERS_TO_NOTHING if referring else _STILL_REFERRED_TO
    return _RULES.get(error.pgcode or "", _ANY_OTHER)

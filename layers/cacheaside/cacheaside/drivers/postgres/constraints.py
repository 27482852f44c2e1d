"""The error for a caller when PostgreSQL refuses a write: the fields that it concerns, and the reason.

    Conflict          unique, exclusion, foreign key from other rows to the changed one
    Unprocessable     foreign key to no row, not null, check

`KeptConnection` calls `violation`, and `Commands` calls `columns_of` after the rollback. PostgreSQL names the column of
a not null only. It names the constraint of others, whose columns the catalog has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import cursor

from cacheaside.errors import Conflict, ConstraintViolated, Unprocessable

__all__ = ["columns_of", "violation"]


class _Rule(NamedTuple):
    error: type[ConstraintViolated]
    message: str


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

# A unique constraint has an index of its name, and a unique index may have no constraint. Column 0 is an expression.
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
    """Return the error to raise, with one field: the column, or else the constraint's name."""
    kind, message = _rule_of(error)
    constraint = error.diag.constraint_name
    field = error.diag.column_name or constraint
    return kind(message.format(constraint=constraint or "of a function"), [field] if field else [])


def columns_of(cur: cursor, error: psycopg2.Error) -> list[str]:
    """Return the columns of the violated constraint from the catalog, in its order, without its expressions.

    Those of a foreign key are of the table that the command writes. Call it after the rollback of the failed command.
    Raises ValueError, for `KeptConnection.run` to translate, if the answer is none that PostgreSQL sends.
    """
    diag = error.diag
    names: dict[str, Any] = {"schema": diag.schema_name, "table": diag.table_name, "constraint": diag.constraint_name}
    cur.execute(_COLUMNS, {**names, "referred_to": _rule_of(error) is _STILL_REFERRED_TO})
    columns = [name for (name,) in cur.fetchall()]
    if not all(isinstance(name, str) for name in columns):
        raise ValueError("not the names of columns")
    return columns


def _rule_of(error: psycopg2.Error) -> _Rule:
    if error.pgcode == errorcodes.FOREIGN_KEY_VIOLATION:
        # Only the text tells which side the write was on. In a language other than English it is taken for a conflict.
        referring = (error.diag.message_primary or "").startswith("insert or update")
        return _REFERS_TO_NOTHING if referring else _STILL_REFERRED_TO
    return _RULES.get(error.pgcode or "", _ANY_OTHER)

"""What to write where PostgreSQL refuses the type of a parameter, or the role may not use a schema."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import cursor

from cacheaside.catalogue.parameters import Parameter
from cacheaside.catalogue.statements import Statement

__all__ = ["cast_to_write", "grant_to_write"]

_TYPE_ERRORS: Final = (
    *(errorcodes.UNDEFINED_FUNCTION, errorcodes.DATATYPE_MISMATCH, errorcodes.CANNOT_COERCE),
    *(errorcodes.AMBIGUOUS_FUNCTION, errorcodes.INDETERMINATE_DATATYPE),
)
# In the order in which they are tried: the nearest first.
_TYPES: Final = ("integer", "smallint", "bigint", "double precision", "numeric", "date", "timestamp", "text")
_TYPES_OF_TEXT: Final = ("interval", "jsonb", "json", "jsonpath", "tsquery", "inet", "bytea", "bigint", *_TYPES)
_ENUMS: Final = "select oid::regtype::text from pg_type where typtype = 'e' order by oid limit 50"
# A number is accepted in place of a configuration, and a configuration as an operand in place of a number.
_CALL: Final = re.compile(r'(?:[\w.$]|"[^"]*")+\s*\(')
_CONFIGURATION: Final = "regconfig"
# `extract(year from …)` and `interval '1 day'` take a word or a plain string, and no expression.
_LITERAL: Final = re.compile(r"\(?E?'")
_ON_LITERALS: Final = (
    "a parameter is an expression, such as ('…'::text): write date_part(%(name)s, …) in place of extract, and "
    "%(name)s::interval in place of interval %(name)s"
)
_SCHEMA: Final = re.compile(r"permission denied for schema (.+)", re.DOTALL)
_GRANT: Final = """
select format('grant usage on schema %%I to %%I', %(schema)s, %(role)s)
where %(schema)s not in ('pg_catalog', 'information_schema', 'cacheaside')
"""
_UNREACHABLE: Final = """
select format('grant usage on schema %%I to %%I', nspname, %(role)s)
from cacheaside.names_in(current_setting('search_path')) with ordinality as part (name, at)
join pg_namespace on nspname = case when name = '$user' then %(role)s else name end
where not has_schema_privilege(%(role)s, pg_namespace.oid, 'usage')
order by at
"""


def cast_to_write(
    cur: cursor, statement: Statement, error: psycopg2.Error, place: str, is_accepted: Callable[[Statement], bool]
) -> str:
    """Return how to write a parameter so that PostgreSQL accepts the statement, or "" if that is not known.

    `place` is the SQL as sent, from the position of the error. `is_accepted` tries another text of the statement.
    """
    if error.pgcode == errorcodes.SYNTAX_ERROR and _LITERAL.match(place):
        return _ON_LITERALS
    if error.pgcode in _TYPE_ERRORS:
        cur.execute(_ENUMS)
        types_of_text = [*(name for (name,) in cur.fetchall()), *_TYPES_OF_TEXT]
        if _CALL.match(place):
            types_of_text.insert(0, _CONFIGURATION)
        for casts in _casts(statement, types_of_text):
            sql = statement.sql
            for name, cast in casts.items():
                sql = sql.replace(f"%({name})s", cast)
            if is_accepted(statement._replace(sql=sql)):
                return f"a parameter has its declared type: write {' and '.join(casts.values())}"
    return ""


def _casts(statement: Statement, types_of_text: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield casts, by parameter: first of one parameter, and then of all that have the same type."""
    alike: dict[str, list[Parameter]] = {}
    for parameter in statement.parameters.values():
        alike.setdefault(parameter.sql_type, []).append(parameter)
    for group in (*([each] for each in statement.parameters.values()), *alike.values()):
        is_text = group[0].type in ("text", "enum")
        for name in types_of_text if is_text else _TYPES:
            sql_type = f"{name}[]" if group[0].is_list else name
            yield {each.name: f"%({each.name})s::{sql_type}" for each in group}


def grant_to_write(cur: cursor, error: psycopg2.Error, role: str) -> str:
    """Return the grant without which `role`, whose settings apply, cannot resolve a name, or "" if there is none."""
    denied = _SCHEMA.fullmatch(error.diag.message_primary or "")
    if error.pgcode == errorcodes.INSUFFICIENT_PRIVILEGE and denied:
        cur.execute(_GRANT, {"schema": denied[1], "role": role})
        return " and ".join(grant for (grant,) in cur.fetchall())
    if error.pgcode in (errorcodes.UNDEFINED_TABLE, errorcodes.UNDEFINED_FUNCTION, errorcodes.UNDEFINED_OBJECT):
        # Schemas of the search path that the role may not use are passed over without a word.
        cur.execute("reset role;" + _UNREACHABLE, {"role": role})  # the role needs no right in cacheaside
        return " and ".join(grant for (grant,) in cur.fetchall())
    return ""

"""The SQL of a statement with its values: every value as a literal of its parameter's declared type.

    where price > %(price)s - 1    becomes    where price > ('-7'::numeric) - 1

Left to itself, psycopg2 writes 7 for the number 7, and PostgreSQL takes that for an integer, whose half is 3. And it
writes -5 without parentheses, so that -5::text is minus a text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from cacheaside.catalogue.parameters import Parameter, Scalar, Value, canonical
from cacheaside.catalogue.statements import Statement

__all__ = ["literal", "typed_sql", "with_values"]

_PLACEHOLDER: Final = re.compile(r"%(?:\(([^)]*)\)s|%)")


def with_values(statement: Statement, values: Mapping[str, Value]) -> str:
    """Return the SQL of `statement` with `values`, which have one for each of its parameters."""
    return typed_sql(statement.sql, statement.parameters, lambda name: literal(values[name]))


def typed_sql(sql: str, parameters: Mapping[str, Parameter], written: Callable[[str], str]) -> str:
    """Return `sql` with `written(name)`, cast to its parameter's type, for each %(name)s, and with % for each %%."""
    pieces = _PLACEHOLDER.split(sql)  # every other piece is a name, or None for %%
    for at in range(1, len(pieces), 2):
        pieces[at] = _cast(written(pieces[at]), parameters[pieces[at]].sql_type) if pieces[at] else "%"
    return "".join(pieces)


def _cast(value: str, sql_type: str) -> str:
    return f"({value}::{sql_type})" if sql_type else f"({value})"


def literal(value: Value) -> str:
    """Return an SQL literal without a type. It means the same under either setting of standard_conforming_strings."""
    if value is None:
        return "null"
    text = _array(value) if isinstance(value, list) else _text(value)
    quoted = "'" + text.replace("'", "''") + "'"
    return "E" + quoted.replace("\\", "\\\\") if "\\" in quoted else quoted


def _array(values: list[Scalar]) -> str:
    """Return the elements in PostgreSQL's notation of arrays. All are quoted, so that none is taken for NULL."""
    quoted = ('"' + _text(value).replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values)
    return "{" + ",".join(quoted) + "}"


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(canonical(value))

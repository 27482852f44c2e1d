"""Example values for parameters, from the columns that they are compared with."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

from psycopg2.extensions import cursor

from local.drafting.description import Refused, rolled_back
from local.drafting.parameters import DraftedParameter, catalogue_type

__all__ = ["add_examples"]

_SLOW: Final = "set local statement_timeout = '2s'"
# The value that most of the first rows have.
_COMMON: Final = """
select value, count(*) from (
    select {written} as value from {relation} where {column} is not null limit 1000
) as few
group by value order by count(*) desc, value limit 1
"""
_NAMES: Final = "select %s::oid::regclass::text, quote_ident(%s)"


def add_examples(cur: cursor, parameters: list[DraftedParameter]) -> None:
    """Give each parameter that is compared with a column a value of it. What takes long is left out."""
    for each in parameters:
        if each.example is None and each.place and each.place.relation:
            try:
                with rolled_back(cur):
                    each.example = _example(cur, each)
            except Refused:
                continue


def _example(cur: cursor, parameter: DraftedParameter) -> Any:
    assert parameter.place
    scalar, _ = catalogue_type(parameter.type)
    cur.execute(_NAMES, [parameter.place.relation, parameter.place.column])
    [(relation, column)] = cur.fetchall()
    written = f"{column}::text" if scalar in ("text", "enum") else f"to_json({column})::text"
    cur.execute(_SLOW)
    cur.execute(_COMMON.format(written=written, relation=relation, column=column))
    row = cur.fetchone()
    # A text that one row has alone may be personal, and the file is published.
    if row is None or (scalar == "text" and row[1] < 2):
        return None
    value = row[0] if scalar in ("text", "enum") else json.loads(row[0], parse_float=Decimal)
    return [value] if parameter.type.is_list else value

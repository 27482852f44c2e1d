"""Example values for parameters, from the columns that they are compared with."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

from psycopg2.extensions import cursor

from local.drafting.description import Refused, rolled_back
from local.drafting.parameters import DraftedParameter, catalogue_type, example_of

__all__ = ["add_examples"]

_SLOW: Final = "set local statement_timeout = '2s'"
# The value that most of the first rows have.
_COMMON: Final = """
select value from (
    select to_json({column})::text as value from {relation} where {column} is not null limit 1000
) as few
group by value order by count(*) desc, value limit 1
"""
_NAMES: Final = "select %s::oid::regclass::text, quote_ident(%s)"


def add_examples(cur: cursor, parameters: list[DraftedParameter]) -> None:
    """Give each parameter that is compared with a column a value of it. What takes long is left out.

    A text may be personal or secret however many rows have it, and the file is published: it is none.
    """
    for each in parameters:
        if each.example is None and each.place and each.place.relation and catalogue_type(each.type)[0] != "text":
            try:
                with rolled_back(cur):
                    each.example = _example(cur, each)
            except Refused:
                continue


def _example(cur: cursor, parameter: DraftedParameter) -> Any:
    assert parameter.place
    cur.execute(_NAMES, [parameter.place.relation, parameter.place.column])
    [(relation, column)] = cur.fetchall()
    cur.execute(_SLOW)
    cur.execute(_COMMON.format(relation=relation, column=column))
    row = cur.fetchone()
    if row is None:
        return None
    value = json.loads(row[0], parse_float=Decimal)
    if isinstance(value, list) and not parameter.type.is_list:  # $1 = any (column)
        value = value[0] if value else None
    return example_of(parameter.type, value)

"""The scans of a query and their parameters, from its generic plan, which PostgreSQL makes without values.

A plan for given values may lack a scan that other values need. No query is run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, Final

from psycopg2.extensions import cursor

from cacheaside.catalogue.parameters import Parameter
from cacheaside.tag_check.facts import Scan
from cacheaside.tag_check.row_conditions import equalities

__all__ = ["scans"]

# All columns are selected, as when `Queries` runs the query. The planner omits tables that only unused columns read.
_EXPLAIN: Final = (
    "explain (generic_plan, verbose, format json, costs off) select row_to_json(answer.*) from (\n{sql}\n) as answer"
)
_PLACEHOLDER: Final = re.compile(r"%(?:\((?P<name>\w+)\)s|%)")

# The conditions that every row of a scan meets. A condition of a join holds only for the rows of the join.
_CONDITIONS: Final = ("Index Cond", "Recheck Cond", "Filter")

# Before PostgreSQL 17 a plan also names values that it computes itself $0, $1 and so on.
_FIRST_NUMBER: Final = 1001
# The types of the literals that psycopg2 writes. A text literal takes the type that its place requires. So does $1001.
_TYPES: Final = {
    "integer": "integer",
    "number": "numeric",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamptz",
}


def scans(cur: cursor, sql: str, parameters: Mapping[str, Parameter]) -> list[Scan]:
    """Return every scan of a table. Raises psycopg2.Error if PostgreSQL cannot plan the query without values.

    PostgreSQL before version 16 never can.
    """
    names = dict(enumerate((match["name"] for match in _PLACEHOLDER.finditer(sql) if match["name"]), _FIRST_NUMBER))
    cur.execute(_EXPLAIN.format(sql=_numbered(sql, parameters)))
    [([answer],)] = cur.fetchall()
    return [
        Scan(
            tag=_tag(cur, node["Schema"], node["Relation Name"]),
            equal=frozenset(
                (column, names[number])
                for column, number in equalities((node[key] for key in _CONDITIONS if key in node), node["Alias"])
                if number in names
            ),
        )
        for node in _nodes(answer["Plan"])
        if "Relation Name" in node
    ]


def _numbered(sql: str, parameters: Mapping[str, Parameter]) -> str:
    numbers = count(_FIRST_NUMBER)

    def number(match: re.Match[str]) -> str:
        return f"(${next(numbers)}{_cast(parameters[match['name']])})" if match["name"] else "%"

    return _PLACEHOLDER.sub(number, sql)


def _cast(parameter: Parameter) -> str:
    literal = _TYPES.get(parameter.type)
    if parameter.is_list:
        return f"::{literal or 'text'}[]"
    return f"::{literal}" if literal else ""


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _tag(cur: cursor, schema: str, name: str) -> str:
    cur.execute("select cacheaside.tag(format('%%I.%%I', %s::text, %s::text)::regclass)", [schema, name])
    [(tag,)] = cur.fetchall()
    return str(tag)

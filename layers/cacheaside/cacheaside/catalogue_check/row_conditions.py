"""Finds the columns that a scan compares with parameters, in the conditions of a plan that EXPLAIN printed.

    ((p.order_id = ($1001)::bigint) AND (p.line = $1002) AND (p.note <> ' OR '::text))

With them `check` decides whether a scan reads only one row. PostgreSQL puts parentheses around every operation, so the
operands of AND are found without a grammar. A condition in another form yields no column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

__all__ = ["equalities"]

_IDENTIFIER: Final = r'(?:[a-z_][a-z0-9_$]*|"(?:[^"]|"")+")'
# A string or a quoted name is one piece, so that a parenthesis in it does not count.
_TOKEN: Final = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[()]| AND |[^'"() ]+| """)
# Casts that keep the value or fail. Others shorten it: $1::character varying(3), $1::name.
_CAST: Final = r"(?:::(?:smallint|integer|bigint|text|character varying|uuid|date|boolean))?"
# A column of an enum is only compared with a value of the same type, whatever its name is.
_CAST_TO_ENUM: Final = rf"::(?:{_IDENTIFIER}\.)?{_IDENTIFIER}"
_COLUMN: Final = re.compile(rf"(?P<alias>{_IDENTIFIER})\.(?P<column>{_IDENTIFIER})")
_CAST_COLUMN: Final = re.compile(rf"\((?P<alias>{_IDENTIFIER})\.(?P<column>{_IDENTIFIER})\)::text")
_PARAMETER: Final = re.compile(rf"\$(\d+)|\(\$(\d+)\){_CAST}")
_PARAMETER_OF_ENUM: Final = re.compile(rf"\$(\d+)|\(\$(\d+)\){_CAST_TO_ENUM}")
_EQUALS: Final = " = "


def equalities(conditions: Iterable[str], alias: str, enums: frozenset[str] = frozenset()) -> Iterator[tuple[str, int]]:
    """Yield (column, number) for each `alias.column = $number` that must hold for all rows of a scan.

    `enums` are the columns of an enum type.
    """
    for condition in conditions:
        for operand in _operands(condition):
            for left, right in _sides(operand):
                column = _COLUMN.fullmatch(left) or _CAST_COLUMN.fullmatch(left)
                if column is None or _name(column["alias"]) != alias:
                    continue
                name = _name(column["column"])
                pattern = _PARAMETER_OF_ENUM if name in enums and column.re is _COLUMN else _PARAMETER
                if parameter := pattern.fullmatch(right):
                    yield name, int(parameter[1] or parameter[2])


def _sides(operand: str) -> Iterator[tuple[str, str]]:
    """Yield what is before and after each = in both orders. One in a name splits it, and so matches no column."""
    pieces = operand.split(_EQUALS)
    for at in range(1, len(pieces)):
        before, after = _EQUALS.join(pieces[:at]), _EQUALS.join(pieces[at:])
        yield before, after
        yield after, before


def _operands(condition: str) -> list[str]:
    """Return the operands of AND, each without its parentheses."""
    if not (condition.startswith("(") and condition.endswith(")")):
        return []
    operands, depth = [""], 0
    for piece in _TOKEN.findall(condition[1:-1]):
        depth += {"(": 1, ")": -1}.get(piece, 0)
        if depth < 0:
            return []
        if piece == " AND " and depth == 0:
            operands.append("")
        else:
            operands[-1] += piece
    if len(operands) == 1:
        return operands
    return [operand[1:-1] for operand in operands if operand.startswith("(") and operand.endswith(")")]


def _name(identifier: str) -> str:
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier

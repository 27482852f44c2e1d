"""Whether a scan reads only one row, told from the conditions of a plan that EXPLAIN printed.

    ((p.order_id = ($1001)::bigint) AND (p.line = $1002) AND (p.note <> ' OR '::text))

PostgreSQL puts parentheses around every operation, so conditions that all must hold are found without a grammar.
What is not understood proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

__all__ = ["equalities"]

_IDENTIFIER: Final = r'(?:[a-z_][a-z0-9_$]*|"(?:[^"]|"")+")'
# Strings and quoted names whole, so that a parenthesis in one does not count.
_TOKEN: Final = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[()]| AND |[^'"() ]+| """)
# Casts that leave a key as it is, or fail. Others cut it: $1::character varying(3), $1::name.
_CAST: Final = r"(?:::(?:smallint|integer|bigint|text|character varying|uuid|date|boolean))?"
_COLUMN: Final = re.compile(rf"(?P<alias>{_IDENTIFIER})\.(?P<column>{_IDENTIFIER})")
_CAST_COLUMN: Final = re.compile(rf"\((?P<alias>{_IDENTIFIER})\.(?P<column>{_IDENTIFIER})\)::text")
_PARAMETER: Final = re.compile(rf"\$(\d+)|\(\$(\d+)\){_CAST}")
_EQUALITY: Final = re.compile(r"(.+) = (.+)", re.DOTALL)


def equalities(conditions: Iterable[str], alias: str) -> Iterator[tuple[str, int]]:
    """Yield column and number of the parameter for each `alias.column = $number` that all rows of a scan meet."""
    for condition in conditions:
        for part in _parts(condition):
            if (match := _EQUALITY.fullmatch(part)) is None:
                continue
            for left, right in (match.groups(), reversed(match.groups())):
                column = _COLUMN.fullmatch(left) or _CAST_COLUMN.fullmatch(left)
                parameter = _PARAMETER.fullmatch(right)
                if column and parameter and _name(column["alias"]) == alias:
                    yield _name(column["column"]), int(parameter[1] or parameter[2])


def _parts(condition: str) -> list[str]:
    """Return what is joined by AND, each without its parentheses."""
    if not (condition.startswith("(") and condition.endswith(")")):
        return []
    parts, depth = [""], 0
    for piece in _TOKEN.findall(condition[1:-1]):
        depth += {"(": 1, ")": -1}.get(piece, 0)
        if depth < 0:
            return []
        if piece == " AND " and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    if len(parts) == 1:
        return parts
    return [part[1:-1] for part in parts if part.startswith("(") and part.endswith(")")]


def _name(identifier: str) -> str:
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier

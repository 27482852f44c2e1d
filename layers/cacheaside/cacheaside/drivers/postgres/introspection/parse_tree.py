"""Parse trees, as PostgreSQL keeps them of views and of functions with BEGIN ATOMIC (the type pg_node_tree).

    {TARGETENTRY :expr {VAR :varno 1 :varattno 1} :resno 1 :resname id}

They say exactly what a statement does, whichever way it is written. The names of the fields differ little between the
versions of PostgreSQL, and an unknown one does no harm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["Node", "Tree", "nodes", "parsed"]

# A backslash escapes the next character of a name.
_PIECE: Final = re.compile(r"[(){}]|(?:\\.|[^\s(){}\\])+", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_NOTHING: Final = "<>"


@dataclass(frozen=True, slots=True)
class Node:
    """One node. The value of a field is a list if it has several parts, and "" if it has none."""

    kind: str
    fields: dict[str, Tree]

    def text(self, field: str) -> str:
        """Return the text of a field, or "" if the node has none."""
        value = self.fields.get(field, "")
        return value if isinstance(value, str) else ""

    def number(self, field: str) -> int:
        """Return the number in a field, or 0 if the node has none."""
        return int(self.text(field) or 0)

    def items(self, field: str) -> list[Tree]:
        """Return the items of a list, or none if the field is absent or empty."""
        value = self.fields.get(field, [])
        return value if isinstance(value, list) else []


Tree = str | list["Tree"] | Node


def parsed(text: str) -> Tree:
    """Return the tree that `text` describes. It may be of any depth, so nothing here is recursive."""
    open_lists: list[list[Tree]] = [[]]
    for piece in _PIECE.findall(text):
        if piece in "({":
            open_lists.append([])
        elif piece in ")}":
            items = open_lists.pop()
            open_lists[-1].append(items if piece == ")" else _node(items))
        else:
            open_lists[-1].append("" if piece == _NOTHING else _ESCAPE.sub(r"\1", piece))
    [tree] = open_lists[0]
    return tree


def nodes(tree: Tree) -> Iterator[Node]:
    """Yield every node of the tree."""
    rest = [tree]
    while rest:
        each = rest.pop()
        if isinstance(each, Node):
            yield each
            rest += each.fields.values()
        elif isinstance(each, list):
            rest += each


def _node(items: list[Tree]) -> Node:
    kind, *parts = items
    fields: dict[str, list[Tree]] = {}
    field = ""
    for part in parts:
        # A value may begin with a colon too, if it is a name. No field is without a value.
        if isinstance(part, str) and part.startswith(":") and (not fields or fields[field]):
            field = part[1:]
            fields[field] = []
        else:
            fields[field].append(part)
    return Node(str(kind), {name: value[0] if len(value) == 1 else value for name, value in fields.items()})

"""A statement with the views and functions in it: the relations, functions and rights that it needs, and as which role.

the statement, as cacheaside_query
  ├── table, materialized view       the role needs the right
  ├── view                           its owner needs the rights; with security_invoker, the role
  └── function with BEGIN ATOMIC     the role needs the rights; with security definer, its owner
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from psycopg2.extensions import cursor

from cacheaside.drivers.postgres.introspection.parse_tree import Node, Tree, nodes, parsed

__all__ = ["Expansion", "Right", "expand"]

# The bits of a relation's required permissions, each with the field that lists the columns.
_PERMISSIONS: Final = {
    1: ("INSERT", "insertedCols"),
    2: ("SELECT", "selectedCols"),
    4: ("UPDATE", "updatedCols"),
    8: ("DELETE", ""),
}
# A set of columns counts from the first system column, whose number is -7.
_COLUMN_OFFSET: Final = -7
_FUNCTION_FIELDS: Final = ("funcid", "opfuncid", "aggfnoid", "winfnoid")
_SELECT: Final = 1
_NOT_MATERIALIZED: Final = 2
_MORE_THAN_ANY_PLAN_HAS: Final = 1_000_000
# The values of SQLVALUEFUNCTION from CURRENT_DATE to LOCALTIMESTAMP. The others name the role, schema and database.
_CLOCK: Final = range(9)

_VIEW: Final = """
select
    ev_action::text,
    pg_get_userbyid(relowner),
    exists (
        select from pg_options_to_table(reloptions)
        where option_name = 'security_invoker' and option_value::boolean
    )
from pg_class
join pg_rewrite on ev_class = pg_class.oid and rulename = '_RETURN'
where pg_class.oid = %s
"""
_FUNCTION: Final = """
select prosqlbody::text, pg_get_userbyid(proowner), prosecdef
from pg_proc
where oid = %s and prosqlbody is not null
"""


@dataclass(frozen=True, slots=True)
class Right:
    """What a role must be allowed to do with a relation. No columns: with any column, or with rows."""

    role: str
    relation: int
    privilege: str
    columns: frozenset[int]


@dataclass(slots=True)
class Expansion:
    """What the parse trees of a statement say. Relations and functions are OIDs."""

    rights: set[Right] = field(default_factory=set)
    references: Counter[int] = field(default_factory=Counter)  # relations by the number of places to scan them
    calls: set[tuple[str, int]] = field(default_factory=set)  # the role that calls, and the function
    comparisons: set[tuple[int, int]] = field(default_factory=set)  # operators, each with the collation it uses
    defaults: bool = False  # whether a column is set to its default by name
    locks: bool = False  # whether it has FOR UPDATE or the like
    writes: bool = False  # whether a part of it is no select
    clock: bool = False  # whether it has CURRENT_DATE or the like
    copies: bool = False  # whether the plan may scan a part in more places than the statement names it
    draws: bool = False  # whether it has TABLESAMPLE without REPEATABLE


@dataclass(frozen=True, slots=True)
class _Context:
    invoker: str  # the role that calls functions
    reader: str  # the role whose rights count for relations
    in_plan: bool  # whether PostgreSQL plans this part together with the statement


def expand(cur: cursor, tree: Tree, role: str) -> Expansion:
    """Return what the statement needs that `tree` describes and `role` runs. Reads the catalog as any role can."""
    found, done = Expansion(), set[tuple[int, _Context]]()
    rest = [(tree, _Context(role, role, in_plan=True))]
    while rest:
        tree, context = rest.pop()
        for node in nodes(tree):
            _note(found, node, context)
            # A view counts as often as it is named, but not where it is the target. A function may call itself.
            if node.text("relkind") == "v" and node.text("inFromCl") == "true":
                rest += _body_of_view(cur, node.number("relid"), context)
            for oid in _functions(node):
                if (oid, context) not in done:
                    done.add((oid, context))
                    found.calls.add((context.invoker, oid))
                    rest += _body_of_function(cur, oid, context)
    if found.copies:
        found.references = Counter(dict.fromkeys(found.references, _MORE_THAN_ANY_PLAN_HAS))
    return found


def _note(found: Expansion, node: Node, context: _Context) -> None:
    if "requiredPerms" in node.fields:  # of the relation's own node, or of the one beside it since PostgreSQL 16
        found.rights.update(_rights(node, context.reader))
    match node.kind:
        case "RANGETBLENTRY" if context.in_plan and node.text("relkind") not in ("", "v"):
            found.references[node.number("relid")] += 1
            found.draws |= _draws(node)
        case "OPEXPR" | "SCALARARRAYOPEXPR":
            found.comparisons.add((node.number("opno"), node.number("inputcollid")))
        case "QUERY":
            found.writes |= node.number("commandType") != _SELECT
        case "ROWMARKCLAUSE":
            found.locks = True
        case "SQLVALUEFUNCTION":
            found.clock |= node.number("op") in _CLOCK
        case "COMMONTABLEEXPR":
            found.copies |= node.number("ctematerialized") == _NOT_MATERIALIZED and node.number("cterefcount") > 1
        case "SETTODEFAULT":
            found.defaults = True


def _draws(node: Node) -> bool:
    sample = node.fields.get("tablesample")
    return isinstance(sample, Node) and not isinstance(sample.fields.get("repeatable"), Node)


def _rights(node: Node, role: str) -> Iterator[Right]:
    required = node.number("requiredPerms")
    for bit, (privilege, field_name) in _PERMISSIONS.items():
        if required & bit:
            columns = (int(text) for text in node.items(field_name)[1:] if isinstance(text, str))
            yield Right(role, node.number("relid"), privilege, frozenset(at + _COLUMN_OFFSET for at in columns))


def _functions(node: Node) -> Iterator[int]:
    yield from (node.number(name) for name in _FUNCTION_FIELDS if node.number(name))


def _body_of_view(cur: cursor, oid: int, context: _Context) -> Iterator[tuple[Tree, _Context]]:
    cur.execute(_VIEW, [oid])
    for body, owner, by_invoker in cur.fetchall():
        yield parsed(body), _Context(context.invoker, context.invoker if by_invoker else owner, context.in_plan)


def _body_of_function(cur: cursor, oid: int, context: _Context) -> Iterator[tuple[Tree, _Context]]:
    cur.execute(_FUNCTION, [oid])
    for body, owner, by_owner in cur.fetchall():
        role = owner if by_owner else context.invoker
        yield parsed(body), _Context(role, role, in_plan=False)

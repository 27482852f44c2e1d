"""The places of parameters in a statement, from its parse tree: the columns that they are compared with or assigned to.

where customer_id = $1        compared with customers.customer_id by =
update t set price = $2       assigned to t.price
limit $3                      the limit
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from cacheaside.drivers.postgres.introspection.parse_tree import Node, Tree

__all__ = ["Outline", "Place", "outline"]

_COMMANDS: Final = {1: "select", 2: "update", 3: "insert", 4: "delete", 5: "merge"}
_RELATION, _JOIN = 0, 2
_BOOLEAN: Final = "16"  # the OID of the type
# Nodes around an operand that only convert it.
_CONVERSIONS: Final = ("RELABELTYPE", "COERCEVIAIO", "ARRAYCOERCEEXPR", "COLLATEEXPR", "COLLATE", "COERCETODOMAIN")


@dataclass(frozen=True, slots=True)
class Place:
    """A place of a parameter. `relation` is an OID, 0 if the column is computed."""

    kind: str  # compared, assigned, limit or offset
    column: str = ""
    relation: int = 0
    operator: int = 0  # the OID of the operator that compares
    is_list: bool = False


@dataclass(slots=True)
class Outline:
    """What the parse tree of a statement says."""

    command: str = ""
    columns: tuple[str, ...] = ()
    places: dict[int, list[Place]] = field(default_factory=dict)  # by number of parameter
    relations: list[int] = field(default_factory=list)  # tables and views, by OID, as often as they are named
    outer: list[int] = field(default_factory=list)  # those in the FROM of the statement itself, 0 for what is none
    target: int = 0  # the relation that it writes to
    one_row: bool = False  # an aggregate without GROUP BY
    optional: set[int] = field(default_factory=set)  # parameters that may be null: `$1 is null or …`
    writes: bool = False  # itself, or in WITH
    expands: bool = False  # a function in the answer's columns may make several rows of one


def outline(query: Node) -> Outline:
    """Return the outline of the statement whose node is `query`."""
    found = Outline(command=_COMMANDS.get(query.number("commandType"), "other"))
    found.writes = found.command != "select" or query.text("hasModifyingCTE") == "true"
    answer = "targetList" if found.command == "select" else "returningList"
    entries = [each for each in query.items(answer) if isinstance(each, Node) and each.text("resjunk") == "false"]
    found.columns = tuple(each.text("resname") for each in entries)
    found.one_row = query.text("hasAggs") == "true" and not query.items("groupClause")
    found.expands = query.text("hasTargetSRFs") == "true"
    rest: list[tuple[Tree, tuple[Node, ...]]] = [(query, ())]
    while rest:
        tree, queries = rest.pop()
        if isinstance(tree, list):
            rest += [(each, queries) for each in reversed(tree)]
        elif isinstance(tree, Node):
            if tree.kind == "QUERY":
                queries = (*queries, tree)
                _note_query(found, tree, queries)
            elif tree.kind in ("OPEXPR", "SCALARARRAYOPEXPR", "DISTINCTEXPR"):
                _note_comparison(found, tree, queries)
            elif tree.kind == "NULLTEST" and (number := _parameter(tree.fields.get("arg", ""))):
                found.optional.add(number)
            rest += [(each, queries) for each in reversed(tree.fields.values())]
    return found


def _note_query(found: Outline, query: Node, queries: tuple[Node, ...]) -> None:
    for kind, name in (("limit", "limitCount"), ("offset", "limitOffset")):
        if number := _parameter(query.fields.get(name, "")):
            found.places.setdefault(number, []).append(Place(kind))
    for entry in _table(query):
        if entry.number("rtekind") == _RELATION and entry.number("relid"):
            found.relations.append(entry.number("relid"))
            if len(queries) == 1:
                found.outer.append(entry.number("relid"))
        elif len(queries) == 1 and entry.number("rtekind") != _JOIN:
            found.outer.append(0)
    if query.number("commandType") in (2, 3):
        target = _table(query)[query.number("resultRelation") - 1]
        found.target = found.target or target.number("relid")
        names = _column_names(target)
        for item in query.items("targetList"):
            if isinstance(item, Node) and (number := _parameter(item.fields.get("expr", ""))):
                place = Place("assigned", names[item.number("resno") - 1], target.number("relid"))
                found.places.setdefault(number, []).append(place)
    elif query.number("commandType") in (4, 5):
        found.target = found.target or _table(query)[query.number("resultRelation") - 1].number("relid")


def _note_comparison(found: Outline, node: Node, queries: tuple[Node, ...]) -> None:
    operands = node.items("args")
    if len(operands) != 2 or node.text("opresulttype") not in ("", _BOOLEAN):  # as meta->$1 or id + $1
        return
    for column, other in (operands, operands[::-1]):
        if (place := _column(column, queries)) is None:
            continue
        is_list = node.kind == "SCALARARRAYOPEXPR"
        for number in _parameters(other):
            found.places.setdefault(number, []).append(Place("compared", *place, node.number("opno"), is_list))


def _column(tree: Tree, queries: tuple[Node, ...]) -> tuple[str, int] | None:
    """Return the name of the column in `tree`, and its relation, 0 if `tree` is more than that column."""
    direct = True
    while isinstance(tree, Node) and tree.kind != "VAR":
        if tree.kind in _CONVERSIONS:
            tree = tree.fields.get("arg", "")
        elif tree.kind == "FUNCEXPR" and tree.items("args"):
            direct = False
            tree = next((each for each in tree.items("args") if isinstance(each, Node) and each.kind != "CONST"), "")
        else:
            return None
    if not isinstance(tree, Node) or tree.number("varlevelsup") >= len(queries):
        return None
    query = queries[-1 - tree.number("varlevelsup")]
    entry, number = _table(query)[tree.number("varno") - 1], tree.number("varattno")
    names = _column_names(entry)
    if not 0 < number <= len(names):
        return None
    if entry.number("rtekind") == _JOIN:
        under = entry.items("joinaliasvars")[number - 1]
        return _column(under, (*queries[: len(queries) - tree.number("varlevelsup")],)) or (names[number - 1], 0)
    if entry.number("rtekind") != _RELATION or not direct:
        return names[number - 1], 0
    return names[number - 1], entry.number("relid")


def _parameters(tree: Tree) -> Iterator[int]:
    if isinstance(tree, Node) and tree.kind in ("ARRAY", "ARRAYEXPR"):
        yield from (number for each in tree.items("elements") if (number := _parameter(each)))
    elif number := _parameter(tree):
        yield number


def _parameter(tree: Tree) -> int:
    """Return the number of the parameter that `tree` is, apart from conversions, or 0."""
    while isinstance(tree, Node) and tree.kind != "PARAM":
        if tree.kind in _CONVERSIONS:
            tree = tree.fields.get("arg", "")
        elif tree.kind == "FUNCEXPR" and len(tree.items("args")) >= 1 and tree.number("funcformat") in (1, 2):
            tree = tree.items("args")[0]
        else:
            return 0
    return tree.number("paramid") if isinstance(tree, Node) else 0


def _table(query: Node) -> list[Node]:
    return [entry for entry in query.items("rtable") if isinstance(entry, Node)]


def _column_names(entry: Node) -> list[str]:
    names = entry.fields.get("eref", "")
    return [str(name)[1:-1] for name in names.items("colnames")] if isinstance(names, Node) else []

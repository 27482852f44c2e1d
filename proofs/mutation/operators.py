"""The changes that make mutants: each yields what could stand in place of one node of a syntax tree.

A string with a blank is wording for people, and is not changed. Nor are annotations, docstrings and decorators.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final, NamedTuple

__all__ = ["Place", "changes"]


class Place(NamedTuple):
    """Where a node hangs: in a field of its parent, at `position` if the field is a list."""

    parent: ast.AST
    field: str
    position: int | None = None

    def put(self, node: ast.AST | None) -> None:
        """Put `node` here, in place of the one that is."""
        if self.position is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.position] = node


# What stands at a place, and what could.
Change = tuple[Place, ast.AST | None]

_COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATIONS: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.Pow: ast.Mult,
}
_FUNCTIONS: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}
_METHODS: Final = {
    "startswith": "endswith",
    "endswith": "startswith",
    "partition": "rpartition",
    "lower": "upper",
    "find": "rfind",
    "append": "clear",
    "setdefault": "get",
}
# Methods whose result could be left as it was before.
_KEEPERS: Final = {"strip", "rstrip", "lstrip", "removeprefix", "removesuffix", "replace", "lower", "astimezone"}


def changes(node: ast.AST, place: Place) -> Iterator[Change]:
    """Yield each change of `node`, which hangs at `place`. Those of its children are not among them."""
    for each in _in_place(node):
        yield place, each
    match node:
        case ast.If() | ast.IfExp():
            yield from _both(node, "test")
        case ast.While(test=ast.Constant()):
            pass
        case ast.While():
            yield Place(node, "test"), ast.Constant(value=False)
        case ast.match_case(guard=ast.expr()):
            yield from _both(node, "guard")
        case ast.comprehension(ifs=ifs):
            for at in range(len(ifs)):
                yield from _both(node, "ifs", at)
        case ast.Slice():
            for field in ("lower", "upper"):
                if getattr(node, field) is not None:
                    yield Place(node, field), None
        case ast.Return(value=ast.expr() as value) if not _is_none(value):
            yield Place(node, "value"), ast.Constant(value=None)
        case ast.ExceptHandler(type=ast.Tuple(elts=types)):
            for at in range(len(types)):
                yield Place(node, "type"), ast.Tuple(elts=[*types[:at], *types[at + 1 :]], ctx=ast.Load())
        case ast.ExceptHandler(type=ast.expr()):
            yield Place(node, "type"), ast.Tuple(elts=[], ctx=ast.Load())


def _in_place(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Constant():
            yield from _constants(node)
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            for at, operator in enumerate(ops):
                other = _COMPARISONS[type(operator)]()
                yield ast.Compare(left=left, ops=[*ops[:at], other, *ops[at + 1 :]], comparators=comparators)
        case ast.BoolOp(op=operator, values=values):
            for at in range(len(values)):
                rest = [*values[:at], *values[at + 1 :]]
                yield rest[0] if len(rest) == 1 else ast.BoolOp(op=operator, values=rest)
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATIONS:
            yield ast.BinOp(left=left, op=_OPERATIONS[type(operator)](), right=right)
        case ast.AugAssign(target=target, op=operator, value=value) if type(operator) in _OPERATIONS:
            yield ast.AugAssign(target=target, op=_OPERATIONS[type(operator)](), value=value)
            yield ast.Pass()
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.Call():
            yield from _calls(node)
        case ast.Match(subject=subject, cases=cases) if len(cases) > 1:
            for at in range(len(cases)):
                yield ast.Match(subject=subject, cases=[*cases[:at], *cases[at + 1 :]])
        case ast.MatchOr(patterns=patterns):
            for at in range(len(patterns)):
                rest_of = [*patterns[:at], *patterns[at + 1 :]]
                yield rest_of[0] if len(rest_of) == 1 else ast.MatchOr(patterns=rest_of)
        case ast.Raise() | ast.Expr(value=ast.Call() | ast.YieldFrom() | ast.Yield()):
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()


def _constants(node: ast.Constant) -> Iterator[ast.AST]:
    match node.value:
        case bool():
            yield ast.Constant(value=not node.value)
        case int() | float():
            yield ast.Constant(value=node.value + 1)
        case str() if " " not in node.value:
            yield ast.Constant(value=f"{node.value}X")
        case bytes():
            yield ast.Constant(value=node.value + b"X")


def _calls(node: ast.Call) -> Iterator[ast.AST]:
    match node.func:
        case ast.Name(id=name) if name in _FUNCTIONS:
            yield ast.Call(func=ast.Name(id=_FUNCTIONS[name], ctx=ast.Load()), args=node.args, keywords=node.keywords)
            if len(node.args) > 1:
                yield from node.args
        case ast.Name(id="sorted"):
            yield ast.Call(func=ast.Name(id="list", ctx=ast.Load()), args=node.args, keywords=[])
        case ast.Name(id="suppress"):
            for at in range(len(node.args)):
                yield ast.Call(func=node.func, args=[*node.args[:at], *node.args[at + 1 :]], keywords=[])
        case ast.Attribute(value=value, attr=attr):
            if attr in _METHODS:
                other = ast.Attribute(value=value, attr=_METHODS[attr], ctx=ast.Load())
                yield ast.Call(func=other, args=node.args, keywords=node.keywords)
            if attr in _KEEPERS:
                yield value
    for at in range(len(node.keywords)):
        keywords = [*node.keywords[:at], *node.keywords[at + 1 :]]
        yield ast.Call(func=node.func, args=node.args, keywords=keywords)


def _both(node: ast.AST, field: str, position: int | None = None) -> Iterator[Change]:
    for value in (True, False):
        yield Place(node, field, position), ast.Constant(value=value)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None

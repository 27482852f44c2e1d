"""Finds the mutants of a file of the library, and puts one into the running process.

A mutant of a function takes the place of its code object: every module that imported the function runs it. A mutant of
a constant takes the place of the constant, and of all made from it, in each module that imported them.
Not changed: what a class has besides functions, such as the members of an enum and the defaults of a named tuple.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final, NamedTuple

from proofs.mutation.operators import Place, changes

__all__ = ["LIBRARY", "Mutant", "Placed", "mutants_of", "top_level"]

LIBRARY: Final = Path(__file__).parents[2] / "layers" / "cacheaside"

_CHARACTERS_AT_MOST: Final = 100


class Mutant(NamedTuple):
    """One change. `scope` is the function, the method or the constant that it is in."""

    path: str
    scope: str
    before: str
    after: str
    number: int  # 2 for the second of the same kind in the scope, and so on
    line: int

    @property
    def name(self) -> str:
        """The name in the list of explained mutants: without the line, which other changes move."""
        again = f" ({self.number})" if self.number > 1 else ""
        return f"{self.path} {self.scope}: {self.before} → {self.after}{again}"


class Placed(NamedTuple):
    """A mutant, its place in the syntax tree of its file, and the node to put there."""

    mutant: Mutant
    tree: ast.Module
    place: Place
    node: ast.AST | None

    def apply(self) -> None:
        """Put the mutant into this process, which cannot get rid of it again."""
        self.place.put(self.node)
        code = compile(ast.fix_missing_locations(self.tree), str(LIBRARY / self.mutant.path), "exec")
        module = self._module()
        function = _functions(module).get(self.mutant.scope)
        if function is None:
            _replace_constants(module, self.tree, code)
        else:
            function.__code__ = _code_of(code, self.mutant.scope)
            _replace_defaults(function, self.tree, self.mutant.scope)

    def is_of_function(self) -> bool:
        """Return whether the scope is a function or method, and not a constant."""
        return self.mutant.scope in _functions(self._module())

    def _module(self) -> ModuleType:
        return import_module(self.mutant.path.removesuffix(".py").replace("/", "."))


def mutants_of(path: Path) -> Iterator[Placed]:
    """Yield the mutants of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    relative = str(path.relative_to(LIBRARY))
    seen: Counter[tuple[str, str, str]] = Counter()
    for scope, root in _scopes(tree):
        for node, place in _nodes(root):
            for where, other in changes(node, place):
                before, after = _shown(_at(where)), _shown(other)
                seen[scope, before, after] += 1
                line = getattr(_at(where), "lineno", getattr(node, "lineno", 0))
                mutant = Mutant(relative, scope, before, after, seen[scope, before, after], line)
                yield Placed(mutant, tree, where, other)


def top_level(code: CodeType) -> str:
    """Return the function or method that `code` is, or is in."""
    return code.co_qualname.partition(".<locals>")[0]


def _scopes(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    for statement in tree.body:
        match statement:
            case ast.FunctionDef(name=name):
                yield name, statement
            case ast.ClassDef(name=name, body=body, bases=bases) if not any(
                isinstance(base, ast.Name) and base.id == "Protocol" for base in bases
            ):
                yield from ((f"{name}.{each.name}", each) for each in body if isinstance(each, ast.FunctionDef))
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                if name != "__all__" and not _is_type(statement.value):
                    yield name, statement


def _is_type(value: ast.expr | None) -> bool:
    return isinstance(value, ast.BinOp | ast.Subscript) or (
        isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "TypeVar"
    )


def _nodes(root: ast.AST) -> Iterator[tuple[ast.AST, Place]]:
    for field, value in ast.iter_fields(root):
        if field in ("annotation", "returns", "decorator_list", "type_comment"):
            continue
        for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(node, ast.AST) or _is_docstring(node):
                continue
            yield node, Place(root, field, index)
            yield from _nodes(node)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _at(place: Place) -> Any:
    held = getattr(place.parent, place.field)
    return held if place.position is None else held[place.position]


def _shown(node: ast.AST | None) -> str:
    text = " ".join(ast.unparse(node).split()) if node is not None else "nothing"
    half = _CHARACTERS_AT_MOST // 2
    return text if len(text) <= _CHARACTERS_AT_MOST else f"{text[:half]} … {text[-half:]}"


def _functions(module: ModuleType) -> dict[str, FunctionType]:
    found: dict[str, FunctionType] = {}
    for each in vars(module).values():
        members = vars(each).values() if isinstance(each, type) and each.__module__ == module.__name__ else [each]
        for member in members:
            function: Any = member
            for name in (
                "fget",
                "func",
                "__func__",
                "__wrapped__",
            ):  # property, cached_property, classmethod, decorators
                function = getattr(function, name, None) or function
            if isinstance(function, FunctionType) and function.__module__ == module.__name__:
                found[function.__qualname__] = function
    return found


def _code_of(code: CodeType, scope: str) -> CodeType:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            if each.co_qualname == scope:
                return each
            if scope.startswith(f"{each.co_qualname}."):
                return _code_of(each, scope)
    raise LookupError(scope)


def _replace_defaults(function: FunctionType, tree: ast.Module, scope: str) -> None:
    """Replace the default values, which belong to the function and not to its code."""
    definition: Any = tree
    for name in scope.split("."):
        definition = next(each for each in definition.body if getattr(each, "name", None) == name)

    def value(node: ast.expr) -> Any:
        return eval(compile(ast.Expression(node), "default", "eval"), function.__globals__)  # noqa: S307  # our own code

    if function.__defaults__:
        function.__defaults__ = tuple(map(value, definition.args.defaults))
    if function.__kwdefaults__:
        names = zip(definition.args.kwonlyargs, definition.args.kw_defaults, strict=True)
        function.__kwdefaults__ = {each.arg: value(node) for each, node in names if node is not None}


def _replace_constants(module: ModuleType, tree: ast.Module, code: CodeType) -> None:
    """Run the file again, and put its constants in place of those of the module, wherever they were imported."""
    again = ModuleType(module.__name__)
    sys.modules[module.__name__], before = again, vars(module).copy()
    try:
        exec(code, vars(again))  # noqa: S102  # our own code
    finally:
        sys.modules[module.__name__] = module
    for statement in tree.body:
        if isinstance(statement, ast.AnnAssign | ast.Assign):
            target = statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]
            name = target.id if isinstance(target, ast.Name) else ""
            for importer in list(sys.modules.values()):
                if name and getattr(importer, "__dict__", {}).get(name) is before.get(name):
                    setattr(importer, name, getattr(again, name, None))

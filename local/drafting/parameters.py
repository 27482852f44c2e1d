"""The parameters of a drafted statement: name, type in the catalogue, cast, bounds and example."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from cacheaside.catalogue.parameters import Parameter, canonical
from cacheaside.catalogue_check.toml import toml_string
from local.drafting.description import ParameterType
from local.drafting.outline import Place

__all__ = ["DraftedParameter", "catalogue_type", "example_of", "parameter_names", "snake_case"]

# By PostgreSQL's type: the type in the catalogue, and the cast without which values or indexes would not be the same.
_TYPES: Final[Mapping[str, tuple[str, str]]] = {
    **dict.fromkeys(("smallint", "integer", "bigint"), ("integer", "")),
    "numeric": ("number", ""),
    "real": ("number", "real"),
    "double precision": ("number", "double precision"),
    **dict.fromkeys(("text", "character varying", "name"), ("text", "")),
    "boolean": ("boolean", ""),
    "date": ("date", ""),
    "timestamp with time zone": ("timestamp", ""),
    "timestamp without time zone": ("timestamp", "timestamp"),
    "uuid": ("uuid", ""),
    "oid": ("integer", "oid"),
    "character": ("text", "bpchar"),
}
_WORD: Final = re.compile(r"(?:[A-Z]+(?![a-z])|[A-Z]?[a-z]+)[0-9]*|[0-9]+")
_SUFFIXES: Final = {">": "from", ">=": "from", "<": "to", "<=": "to"}
_ROWS: Final = 20
_ROWS_AT_MOST: Final = 1_000
_ITEMS_AT_MOST: Final = 100


@dataclass(slots=True)
class DraftedParameter:
    """One parameter. `cast` follows its placeholder."""

    name: str
    type: ParameterType
    place: Place | None
    cast: str
    example: Any = None
    is_optional: bool = False
    description: str = ""

    @property
    def placeholder(self) -> str:
        """The placeholder with its cast."""
        return f"%({self.name})s{'::' + self.cast if self.cast else ''}"

    @property
    def cast_if_needed(self) -> str:
        """The cast to try if PostgreSQL refuses the catalogue's type."""
        return self.type.written

    @property
    def options(self) -> dict[str, Any]:
        """The options of the header, in the order in which they are written."""
        scalar = "enum" if self.type.values else catalogue_type(self.type)[0]
        options: dict[str, Any] = {"type": f"{scalar}[]" if self.type.is_list else scalar}
        if self.type.values:
            options["values"] = list(self.type.values)
        if self.place and self.place.kind in ("limit", "offset"):
            is_limit = self.place.kind == "limit"
            rows = self.example if isinstance(self.example, int) and self.example >= 0 else _ROWS if is_limit else 0
            options["default"], options["min"] = rows, 0
            if is_limit:
                options["max"] = max(rows, _ROWS_AT_MOST)
        else:
            options |= {"required": False} if self.is_optional else {}
            options |= {"example": self.example} if self.example is not None else {}
        if self.type.is_list:
            options["max_length"] = _ITEMS_AT_MOST
        if self.description:
            options["description"] = self.description
        return options

    @property
    def line(self) -> str:
        """The line of the header."""
        options = ", ".join(f"{key} = {_toml(value)}" for key, value in self.options.items())
        return f"-- params.{self.name} = {{ {options} }}"


def catalogue_type(given: ParameterType) -> tuple[str, str]:
    """Return the catalogue's type for a value, or for each of a list, and the cast that it needs."""
    if given.values:
        return "enum", ""
    scalar, cast = _TYPES.get(given.element, ("text", given.element))
    return scalar, f"{cast}[]" if cast and given.is_list else cast


def example_of(kind: ParameterType, recorded: Any) -> Any:
    """Return a value that was recorded or is in a table, as the header has it, or None."""
    if recorded is None:
        return None
    items = recorded if isinstance(recorded, list) else [recorded]
    if kind.is_list and isinstance(recorded, str):  # PostgreSQL's notation, such as {1,2}
        items = [item.strip('"') for item in recorded.strip("{}").split(",")][:1]
    parameter = Parameter(name="example", type=catalogue_type(kind)[0], values=kind.values)
    try:
        texts = [str(item).lower() if isinstance(item, bool) else str(item) for item in items[:_ITEMS_AT_MOST]]
        values = [canonical(parameter.from_text([text])) for text in texts]
    except ValueError:
        return None
    if parameter.json_kind == "number":
        values = [Decimal(value) for value in values]
    return values if kind.is_list else values[0]


def parameter_names(
    given: Sequence[str], places: Sequence[Place | None], operators: Mapping[int, str]
) -> tuple[str, ...]:
    """Return a name for each placeholder: as given, or for a number that of its column. No two are the same."""
    plain = [_name(place, name) for name, place in zip(given, places, strict=True)]
    twice = {name for name, times in Counter(plain).items() if times > 1}
    names: list[str] = []
    for name, place in zip(plain, places, strict=True):
        suffix = _SUFFIXES.get(operators.get(place.operator, ""), "") if place else ""
        wanted = f"{name}_{suffix}" if name in twice and suffix else name
        number = 2
        while wanted in names:
            wanted, number = f"{name}_{number}", number + 1
        names.append(wanted)
    return tuple(names)


def _name(place: Place | None, given: str) -> str:
    if not given.isdecimal():  # a tag takes lower case only
        return given if given == given.lower() else snake_case(given)
    if place is None:
        return f"p{given}"
    return place.kind if place.kind in ("limit", "offset") else snake_case(place.column) or f"p{given}"


def snake_case(name: str) -> str:
    """Return `invoice_line` for InvoiceLine, or "" for a name without ASCII letters."""
    words = "_".join(word.lower() for word in _WORD.findall(name))
    return words if words[:1].isalpha() else ""


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        return toml_string(value)
    return str(value).lower() if isinstance(value, bool) else str(value)

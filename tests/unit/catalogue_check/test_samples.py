"""Sample values: with them PostgreSQL must be able to plan any query that the catalogue accepts."""

from __future__ import annotations

from datetime import date
from typing import Any
from urllib.parse import parse_qs

import pytest

from cacheaside.catalogue.parameters import SCALAR_TYPES, Parameter, bind_text, to_query_string
from cacheaside.catalogue_check.samples import sample, samples, samples_of_enums


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({"type": "integer", "example": 7, "default": 8, "minimum": 9}, 7),
        ({"type": "integer", "default": 8}, 8),
        ({"type": "boolean", "default": False}, False),
        ({"type": "integer"}, 1),
        ({"type": "integer", "minimum": 5}, 5),
        ({"type": "integer", "maximum": -5}, -5),
        ({"type": "date", "maximum": date(2001, 1, 1)}, date(2001, 1, 1)),
        ({"type": "text", "min_length": 3}, "xxx"),
        ({"type": "text", "max_length": 0}, ""),
        ({"type": "enum", "values": ("open", "shut")}, "open"),
        ({"type": "enum", "values": ("open",), "is_list": True, "required": False}, ["open"]),
        ({"type": "integer", "is_list": True, "min_length": 2, "max_length": 5}, [1, 1]),
        ({"type": "text", "is_list": True, "max_length": 0}, []),
    ],
)
def test_sample_is_the_example_or_the_default_or_a_generated_value(options: dict[str, Any], value: object) -> None:
    assert sample(Parameter(name="it", **options)) == value


def test_sample_of_an_optional_parameter_is_not_null_because_null_has_no_type() -> None:
    declared = {kind: Parameter(name=kind, type=kind, required=False, values=("a",)) for kind in SCALAR_TYPES}
    assert all(value is not None for value in samples(declared).values())


@pytest.mark.parametrize("kind", SCALAR_TYPES)
def test_sample_of_every_type_is_a_value_of_that_type(kind: str) -> None:
    declared = {"it": Parameter(name="it", type=kind, values=("a",) if kind == "enum" else ())}
    values = samples(declared)
    assert bind_text(declared, parse_qs(to_query_string(values))) == values


def test_every_value_of_an_enum_is_a_sample() -> None:
    declared = {
        "size": Parameter(name="size", type="enum", values=("s", "m"), example="m"),
        "states": Parameter(name="states", type="enum", values=("a", "b"), is_list=True),
        "id": Parameter(name="id", type="integer"),
    }
    found = [(values["size"], values["states"]) for values in samples_of_enums(declared)]
    assert found == [("m", ["a"]), ("s", ["a"]), ("m", ["b"])]

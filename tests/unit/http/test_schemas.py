"""The schema of a parameter accepts what a body may hold, and refuses the rest."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from cacheaside.catalogue.parameters import Parameter, bind_json
from cacheaside.catalogue.patterns import Pattern
from cacheaside.errors import BadParameters
from cacheaside.http.schemas import body_schema, parameters_example, parameters_schema, query_schema, schema

GOOD: list[tuple[dict[str, Any], list[str]]] = [
    ({"type": "text"}, ['""', '"é\\n"']),
    ({"type": "text", "min_length": 2, "max_length": 3}, ['"ab"', '"\\ud83d\\ude00bc"']),
    ({"type": "text", "pattern": Pattern.parse(r"\d+")}, ['"12"']),
    ({"type": "integer"}, ["0", "-9223372036854775808", "9223372036854775807", "42.0", "4.2e1"]),
    ({"type": "integer", "minimum": 1, "maximum": 5}, ["1", "5"]),
    ({"type": "number"}, ["1", "1.5", "5e-324", "1.7976931348623157e308"]),
    ({"type": "boolean"}, ["true", "false"]),
    ({"type": "date"}, ['"0001-01-01"', '"2024-02-29"']),
    ({"type": "timestamp"}, ['"2024-01-01T00:00:00Z"', '"2024-01-01T00:00:00.123456-15:59"']),
    ({"type": "uuid"}, ['"0e37df36-f698-11e6-8dd4-cb9ced3df976"', '"0E37DF36-F698-11E6-8DD4-CB9CED3DF976"']),
    ({"type": "enum", "values": ("a", "b")}, ['"a"']),
    ({"type": "integer", "is_list": True}, ["[]", "[1, 1]"]),
    ({"type": "text", "required": False}, ["null"]),
    ({"type": "enum", "values": ("a",), "required": False}, ["null", '"a"']),
    ({"type": "integer", "is_list": True, "required": False}, ["null"]),
]
BAD: list[tuple[dict[str, Any], list[str]]] = [
    ({"type": "text"}, ['"a\\u0000"', "1", "null", '["a"]']),
    ({"type": "text", "min_length": 2, "max_length": 3}, ['"a"', '"abcd"']),
    ({"type": "text", "pattern": Pattern.parse(r"\d+")}, ['"٤"', '"1a"', '""']),
    ({"type": "integer"}, ["9223372036854775808", "-9223372036854775809", "1.5", "1e99", '"1"', "true"]),
    ({"type": "integer", "minimum": 1, "maximum": 5}, ["0", "6"]),
    ({"type": "number", "maximum": Decimal("1.5")}, ["1.6", '"1"', "false"]),
    ({"type": "boolean"}, ['"true"', "1"]),
    ({"type": "date"}, ['"2024-02-30"', '"2024-1-1"', '""']),
    ({"type": "timestamp"}, ['"2024-01-01T00:00:00+16:00"', '"2024-01-01T00:00:00.1234567Z"', '"2024-01-01"']),
    ({"type": "uuid"}, ['"0e37df36f69811e68dd4cb9ced3df976"']),
    ({"type": "enum", "values": ("a", "b")}, ['"c"', '""', "null"]),
    ({"type": "integer", "is_list": True, "max_length": 1}, ["[1, 2]", "[null]", "1", "null"]),
]


def accepts(parameter: Parameter, text: str) -> tuple[bool, bool]:
    """Return whether the schema accepts the JSON value, and whether the parser does."""
    by_schema = Draft202012Validator(body_schema(parameter), format_checker=FormatChecker())
    try:
        bind_json({"p": parameter}, {"p": json.loads(text, parse_float=Decimal)})
    except BadParameters:
        return by_schema.is_valid(json.loads(text)), False
    return by_schema.is_valid(json.loads(text)), True


@pytest.mark.parametrize(("rules", "texts"), GOOD)
def test_schema_and_parser_accept_it(rules: dict[str, Any], texts: list[str]) -> None:
    for text in texts:
        assert accepts(Parameter(name="p", **rules), text) == (True, True), text


@pytest.mark.parametrize(("rules", "texts"), BAD)
def test_schema_and_parser_refuse_it(rules: dict[str, Any], texts: list[str]) -> None:
    for text in texts:
        assert accepts(Parameter(name="p", **rules), text) == (False, False), text


def test_a_query_string_cannot_say_that_a_required_list_is_empty() -> None:
    ids = Parameter(name="ids", type="integer", is_list=True)
    assert query_schema(ids)["minItems"] == 1
    assert "minItems" not in schema(ids)
    assert query_schema(ids._replace(min_length=2))["minItems"] == 2
    assert "minItems" not in query_schema(ids._replace(required=False))


def test_parameters_of_a_body_are_one_object_without_others() -> None:
    declared = {
        "id": Parameter(name="id", type="integer", example=42, description="its number"),
        "note": Parameter(name="note", type="text", required=False),
    }
    validator = Draft202012Validator(parameters_schema(declared))
    assert validator.is_valid({"id": 42, "note": None})
    assert not validator.is_valid({"note": "x"})
    assert not validator.is_valid({"id": 42, "other": 1})
    assert parameters_example(declared) == {"id": 42}
    assert parameters_example({"id": declared["id"]._replace(example=None)}) is None

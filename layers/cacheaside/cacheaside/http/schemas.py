"""Parameters as JSON Schema, for the catalogue and for OpenAPI."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from cacheaside.catalogue.parameters import SCALAR_TYPES, Parameter, Value, canonical
from cacheaside.http.ecma_pattern import ecma_pattern

__all__ = [
    "body_schema",
    "chosen_by_caller",
    "describe_parameter",
    "jsonable",
    "parameters_example",
    "parameters_schema",
    "query_schema",
    "schema",
]


def schema(parameter: Parameter) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12, as OpenAPI 3.1 uses it) of a parameter's value in a body."""
    item: dict[str, Any] = dict(SCALAR_TYPES[parameter.type].schema)
    # JSON Schema has bounds for numbers only. GET /queries lists those of dates, see `describe_parameter`.
    if item["type"] in ("integer", "number"):
        item |= _present(minimum=jsonable(parameter.minimum), maximum=jsonable(parameter.maximum))
    # RE2 also has what JSON Schema cannot say. GET /queries lists each pattern as it was written.
    item |= _present(pattern=ecma_pattern(parameter.pattern.text) if parameter.pattern else None)
    item |= _present(enum=list(parameter.values) or None)
    if parameter.is_list:
        value = {"type": "array", "items": item}
        value |= _present(minItems=parameter.min_length, maxItems=parameter.max_length)
    else:
        value = item | _present(minLength=parameter.min_length, maxLength=parameter.max_length)
    return value | _present(default=jsonable(parameter.default))


def query_schema(parameter: Parameter) -> dict[str, Any]:
    """Return the JSON Schema of a parameter in a query string, which cannot say that a list is empty."""
    value = schema(parameter)
    if parameter.is_list and parameter.required and not parameter.min_length:
        value["minItems"] = 1
    return value


def body_schema(parameter: Parameter) -> dict[str, Any]:
    """Return the JSON Schema of a parameter in a body. There, null stands for no value: see `bind_json`."""
    value = schema(parameter)
    if parameter.required:
        return value
    return value | {"type": [value["type"], "null"]} | ({"enum": [*value["enum"], None]} if "enum" in value else {})


def chosen_by_caller(parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """Return the parameters that a request has: all but those that are claims of the caller's token."""
    return {name: parameter for name, parameter in parameters.items() if not parameter.claim}


def parameters_schema(parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return the JSON Schema of an object with the values of all parameters."""
    required = [parameter.name for parameter in parameters.values() if parameter.required]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _described(body_schema(parameter), parameter) for name, parameter in parameters.items()},
        **({"required": required} if required else {}),
    }


def parameters_example(parameters: Mapping[str, Parameter]) -> dict[str, Any] | None:
    """Return an object with the examples of the parameters, or None if a required one has no example."""
    given = {name: parameter for name, parameter in parameters.items() if parameter.example is not None}
    if any(parameter.required and name not in given for name, parameter in parameters.items()):
        return None
    return {name: jsonable(parameter.example) for name, parameter in given.items()}


def describe_parameter(parameter: Parameter) -> dict[str, Any]:
    """Return a parameter as GET /queries lists it."""
    bounds = {"min": parameter.minimum, "max": parameter.maximum}
    return {
        "type": f"{parameter.type}[]" if parameter.is_list else parameter.type,
        "required": parameter.required,
        **_present(**{name: jsonable(value) for name, value in bounds.items()}),
        **_present(min_length=parameter.min_length, max_length=parameter.max_length),
        **_present(pattern=parameter.pattern.text if parameter.pattern else None),
        **_present(values=list(parameter.values) or None),
        **_present(default=jsonable(parameter.default), example=jsonable(parameter.example)),
        **_present(description=parameter.description or None),
        **_present(source=f"claim:{parameter.claim}" if parameter.claim else None),
    }


def jsonable(value: Value) -> Any:
    """Return `value` in a form that `json.dumps` accepts. Numbers stay numbers."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, list):
        return [jsonable(item) for item in value]
    return canonical(value)


def _described(value: dict[str, Any], parameter: Parameter) -> dict[str, Any]:
    return value | _present(description=parameter.description or None)


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}

"""Parameters as JSON Schema, for the catalogue and for OpenAPI."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from cacheaside.catalogue.parameters import SCALAR_TYPES, Parameter, Value, canonical

__all__ = ["body_schema", "describe_parameter", "jsonable", "schema"]


def schema(parameter: Parameter) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12, as OpenAPI 3.1 uses it) of a parameter's value."""
    item: dict[str, Any] = dict(SCALAR_TYPES[parameter.type].schema)
    # JSON Schema has bounds for numbers only. GET /queries lists those of dates, see `describe_parameter`.
    if item["type"] in ("integer", "number"):
        item |= _present(minimum=jsonable(parameter.minimum), maximum=jsonable(parameter.maximum))
    item |= _present(pattern=f"^(?:{parameter.pattern.text})$" if parameter.pattern else None)
    item |= _present(enum=list(parameter.values) or None)
    if parameter.is_list:
        value = {"type": "array", "items": item}
        value |= _present(minItems=parameter.min_length, maxItems=parameter.max_length)
    else:
        value = item | _present(minLength=parameter.min_length, maxLength=parameter.max_length)
    return value | _present(default=jsonable(parameter.default))


def body_schema(parameter: Parameter) -> dict[str, Any]:
    """Return the JSON Schema of a parameter in a body. There, null stands for no value: see `bind_json`."""
    value = schema(parameter)
    if parameter.required:
        return value
    return value | {"type": [value["type"], "null"]} | ({"enum": [*value["enum"], None]} if "enum" in value else {})


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
    }


def jsonable(value: Value) -> Any:
    """Return `value` in a form that `json.dumps` accepts. Numbers stay numbers."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, list):
        return [jsonable(item) for item in value]
    return canonical(value)


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}

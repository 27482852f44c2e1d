"""Parameters as JSON Schema, for the catalogue and for OpenAPI."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from cacheaside.catalogue.parameters import SCALAR_TYPES, Parameter, Value, canonical

__all__ = ["described", "jsonable", "schema"]


def schema(parameter: Parameter) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12, as OpenAPI 3.1 uses it) of a parameter's value."""
    item: dict[str, Any] = dict(SCALAR_TYPES[parameter.type].schema)
    # JSON Schema bounds numbers only; the bounds of a date stand in its description.
    if item["type"] in ("integer", "number"):
        item |= _present(minimum=jsonable(parameter.minimum), maximum=jsonable(parameter.maximum))
    item |= _present(pattern=f"^(?:{parameter.pattern.pattern})$" if parameter.pattern else None)
    item |= _present(enum=list(parameter.values) or None)
    if parameter.is_list:
        whole = {"type": "array", "items": item}
        whole |= _present(minItems=parameter.min_length, maxItems=parameter.max_length)
    else:
        whole = item | _present(minLength=parameter.min_length, maxLength=parameter.max_length)
    return whole | _present(default=jsonable(parameter.default))


def described(parameter: Parameter) -> dict[str, Any]:
    """Return a parameter as GET /queries shows it."""
    bounds = {"min": parameter.minimum, "max": parameter.maximum}
    return {
        "type": f"{parameter.type}[]" if parameter.is_list else parameter.type,
        "required": parameter.required,
        **_present(**{name: jsonable(value) for name, value in bounds.items()}),
        **_present(min_length=parameter.min_length, max_length=parameter.max_length),
        **_present(pattern=parameter.pattern.pattern if parameter.pattern else None),
        **_present(values=list(parameter.values) or None),
        **_present(default=jsonable(parameter.default), example=jsonable(parameter.example)),
        **_present(description=parameter.description or None),
    }


def jsonable(value: Value) -> Any:
    """Return `value` as `json.dumps` takes it, numbers as numbers."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, list):
        return [jsonable(item) for item in value]
    return canonical(value)


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}

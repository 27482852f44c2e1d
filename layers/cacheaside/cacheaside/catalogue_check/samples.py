"""Sample values for the parameters of a query, with which PostgreSQL can parse the query without running it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from cacheaside.catalogue.parameters import Parameter, Scalar, Value

__all__ = ["sample", "samples", "samples_of_enums"]

_VALUE_OF_TYPE: Final[Mapping[str, Scalar]] = {
    "integer": 1,
    "number": Decimal(1),
    "boolean": True,
    "date": date(2025, 1, 1),
    "timestamp": datetime(2025, 1, 1, tzinfo=UTC),
    "uuid": "0e37df36-f698-11e6-8dd4-cb9ced3df976",
}


def samples(parameters: Mapping[str, Parameter]) -> dict[str, Value]:
    """Return a sample of each parameter."""
    return {name: sample(parameter) for name, parameter in parameters.items()}


def samples_of_enums(parameters: Mapping[str, Parameter]) -> Iterator[dict[str, Value]]:
    """Yield samples with each value of each enum: PostgreSQL looks at it when it parses the statement."""
    first = samples(parameters)
    yield first
    for name, parameter in parameters.items():
        for value in parameter.values:
            changed: Value = [value] if parameter.is_list else value
            if changed != first[name]:
                yield first | {name: changed}


def sample(parameter: Parameter) -> Value:
    """Return the example, else the default, else a generated value within the parameter's bounds.

    It is never null, from which PostgreSQL cannot infer a type. A generated text may not match the pattern.
    """
    if parameter.example is not None:
        return parameter.example
    if parameter.default is not None:
        return parameter.default
    if parameter.is_list:
        return [_scalar(parameter, length=1)] * _length(parameter)
    return _scalar(parameter, _length(parameter))


def _scalar(parameter: Parameter, length: int) -> Scalar:
    if parameter.values:
        return parameter.values[0]
    if parameter.type == "text":
        return "x" * length
    value: Any = _VALUE_OF_TYPE[parameter.type]
    if parameter.minimum is not None:
        value = max(value, parameter.minimum)
    if parameter.maximum is not None:
        value = min(value, parameter.maximum)
    bounded: Scalar = value
    return bounded


def _length(parameter: Parameter) -> int:
    length = max(parameter.min_length or 0, 1)
    return length if parameter.max_length is None else min(length, parameter.max_length)

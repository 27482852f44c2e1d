"""The JSON that `row_to_json` makes of PostgreSQL's own types, in a session whose time zone is UTC.

A format says what a value usually looks like. `infinity`, years before Christ and years after 9999 do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

__all__ = ["OTHER", "RENDERED", "Rendered"]


class Rendered(NamedTuple):
    """The JSON Schema of a type's values, which may be null, and an example of one."""

    schema: Mapping[str, Any]
    example: Any


def _string(example: str, **more: str) -> Rendered:
    return Rendered({"type": ["string", "null"], **more}, example)


def _integer(bits: int) -> Rendered:
    return Rendered({"type": ["integer", "null"], "format": f"int{bits}"}, 42)


# JSON has no such numbers, so these are strings.
_NOT_A_NUMBER: Final = "^(NaN|-?Infinity)$"
_FRACTION: Final[Mapping[str, Any]] = {"type": ["number", "string", "null"], "pattern": _NOT_A_NUMBER}
_ANYTHING: Final = Rendered({}, {"key": "value"})

# By pg_type.typname.
RENDERED: Final[Mapping[str, Rendered]] = {
    "bool": Rendered({"type": ["boolean", "null"]}, True),
    "int2": _integer(32),  # formats of OpenAPI are int32 and int64
    "int4": _integer(32),
    "int8": _integer(64),
    "numeric": Rendered(_FRACTION, 9.99),
    "float4": Rendered(_FRACTION, 0.5),
    "float8": Rendered(_FRACTION, 0.5),
    "uuid": _string("0e37df36-f698-11e6-8dd4-cb9ced3df976", format="uuid"),
    "date": _string("2025-01-31", format="date"),
    "timestamptz": _string("2025-01-31T09:30:00+00:00", format="date-time"),
    "timestamp": _string("2025-01-31T09:30:00"),  # without an offset, so it has no format
    "time": _string("09:30:00"),
    "timetz": _string("09:30:00+00"),
    "interval": _string("1 day 02:30:00"),
    "json": _ANYTHING,
    "jsonb": _ANYTHING,
    "record": Rendered({"type": ["object", "null"]}, {"f1": 42}),
    "anyarray": Rendered({"type": ["array", "null"]}, [42]),
    "void": _string(""),
    "bpchar": _string("A"),
    "char": _string("A"),
    "bytea": _string("\\x48656c6c6f"),
    "bit": _string("1"),
    "varbit": _string("101"),
    "money": _string("$9.99"),
    "inet": _string("192.0.2.1"),
    "cidr": _string("192.0.2.0/24"),
    "macaddr": _string("08:00:2b:01:02:03"),
    "macaddr8": _string("08:00:2b:01:02:03:04:05"),
    "oid": _string("16384"),
    "jsonpath": _string('$."key"'),
    "tsvector": _string("'text':1"),
    "tsquery": _string("'text'"),
    "point": _string("(1,2)"),
    "int4range": _string("[1,10)"),
    "int8range": _string("[1,10)"),
    "numrange": _string("[0.5,9.99)"),
    "daterange": _string("[2025-01-01,2025-02-01)"),
    "tsrange": _string('["2025-01-01 00:00:00","2025-02-01 00:00:00")'),
    "tstzrange": _string('["2025-01-01 00:00:00+00","2025-02-01 00:00:00+00")'),
    "int4multirange": _string("{[1,10)}"),
    "int8multirange": _string("{[1,10)}"),
    "nummultirange": _string("{[0.5,9.99)}"),
    "datemultirange": _string("{[2025-01-01,2025-02-01)}"),
}

# All other types are rendered as their text.
OTHER: Final = _string("text")

"""Typed parameters of queries and commands. The catalogue declares them, and every request is checked against them.

Each value has one canonical Python form, whichever notation a request uses (`1.50` or `1.5`, `+00:00` or `Z`). The
cache key is made of it, so requests that differ only in notation must share one entry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from cacheaside.catalogue.claims import NO_CLAIMS, Claims, claim_of
from cacheaside.catalogue.patterns import Pattern
from cacheaside.errors import BadParameters, ParameterProblem, WrongClaim

__all__ = [
    "SCALAR_TYPES",
    "Parameter",
    "Scalar",
    "Value",
    "bind_json",
    "bind_text",
    "canonical",
    "shortened",
    "to_query_string",
]

Scalar = str | int | Decimal | bool | date | datetime
Value = Scalar | list[Scalar] | None

_BIGINT: Final = range(-(2**63), 2**63)
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIMESTAMP: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
    r"(?:Z|[+-](?:0[0-9]|1[0-5]):[0-5][0-9])?"  # PostgreSQL takes offsets below 16 hours
)
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# Enough for every number of JavaScript and Python, of which the smallest, 5e-324, has most digits.
_DIGITS_AT_MOST: Final = 400

_ALL_DIGITS: Final = Context(prec=_DIGITS_AT_MOST)

# A message names at most this many unknown parameters, and shows at most this much of a text of the caller.
_UNKNOWN_AT_MOST: Final = 5
_SHOWN_AT_MOST: Final = 40


def _text(raw: str) -> str:
    if "\0" in raw:
        raise ValueError("text without NUL characters")
    try:
        raw.encode()
    except UnicodeEncodeError:  # in a claim; in URLs and bodies it is found before
        raise ValueError("text without half a surrogate pair") from None
    return raw


def _integer(raw: str) -> int:
    if not _INTEGER.fullmatch(raw) or int(raw) not in _BIGINT:
        raise ValueError("a whole number of at most 64 bits, such as 42")
    return int(raw)


def _number(raw: str) -> Decimal:
    if len(raw) > _DIGITS_AT_MOST or not _NUMBER.fullmatch(raw):
        raise ValueError("a number, such as 9.99")
    value = Decimal(raw)
    # Digits without an exponent or trailing zeros. Decimal.normalize would write 100 as 1E+2, and keep the sign of -0.
    digits = format(value, "f") if value else "0"
    digits = digits.rstrip("0") if "." in digits else digits  # Decimal reads "1." too
    if len(digits) > _DIGITS_AT_MOST:  # it had an exponent, and without one this parser would refuse it
        raise ValueError("a number, such as 9.99")
    return Decimal(digits)


def _boolean(raw: str) -> bool:
    if raw not in ("true", "false"):
        raise ValueError("true or false")
    return raw == "true"


def _date(raw: str) -> date:
    try:
        return date.fromisoformat(raw if _DATE.fullmatch(raw) else "")
    except ValueError:
        raise ValueError("a date, such as 2024-12-31") from None


def _timestamp(raw: str) -> datetime:
    try:
        value = datetime.fromisoformat(raw if _TIMESTAMP.fullmatch(raw) else "")
        value = value.replace(tzinfo=value.tzinfo or UTC)
        return value.astimezone(UTC)
    except (ValueError, OverflowError):
        # The usual cause is a + in a query string, which means a space unless it is encoded.
        raise ValueError(
            "a timestamp, such as 2024-12-31T23:59:00Z (UTC if no offset is given; in a URL write + as %2B)"
        ) from None


def _uuid(raw: str) -> str:
    if not _UUID.fullmatch(raw):
        raise ValueError("a UUID, such as 0e37df36-f698-11e6-8dd4-cb9ced3df976")
    return str(UUID(raw))


class _Type(NamedTuple):
    """The parser of one type, the type in SQL, the Python types of its JSON values, and its OpenAPI schema."""

    parse: Callable[[str], Scalar]  # raises ValueError with the expected form, such as "true or false"
    sql: str
    json: tuple[type, ...]
    schema: Mapping[str, Any]


_INT64: Final = {"type": "integer", "format": "int64", "minimum": _BIGINT.start, "maximum": _BIGINT.stop - 1}
# The pattern excludes what RFC 3339 allows and `_timestamp` does not.
_DATE_TIME: Final = {"type": "string", "format": "date-time", "pattern": f"^{_TIMESTAMP.pattern}$"}

SCALAR_TYPES: Final[Mapping[str, _Type]] = {
    "text": _Type(_text, "text", (str,), {"type": "string", "pattern": r"^[^\x00]*$"}),
    "integer": _Type(_integer, "bigint", (int,), _INT64),
    "number": _Type(_number, "numeric", (int, Decimal), {"type": "number"}),
    "boolean": _Type(_boolean, "boolean", (bool,), {"type": "boolean"}),
    "date": _Type(_date, "date", (str,), {"type": "string", "format": "date"}),
    "timestamp": _Type(_timestamp, "timestamptz", (str,), _DATE_TIME),
    "uuid": _Type(_uuid, "uuid", (str,), {"type": "string", "format": "uuid"}),
    "enum": _Type(_text, "", (str,), {"type": "string"}),
}


class Parameter(NamedTuple):
    """One declared parameter. The lengths limit the characters of a text, or the items of a list."""

    name: str
    type: str  # a key of SCALAR_TYPES
    is_list: bool = False
    required: bool = True
    default: Value = None
    example: Value = None
    minimum: Scalar | None = None
    maximum: Scalar | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: Pattern | None = None
    values: tuple[str, ...] = ()
    description: str = ""
    claim: str = ""  # the claim of the caller's token that has the value; "": the caller chooses it

    def from_text(self, raw: Sequence[str]) -> Value:
        """Return the value of `raw`, which has one string for each occurrence of the parameter in the query string.

        Raises ValueError with a sentence that describes the correct form.
        """
        if self.is_list:
            self._check_length(len(raw), "items")
            return [self._scalar(item) for item in raw]
        if len(raw) > 1:
            raise ValueError(f"{self.name} must be given once, not {len(raw)} times")
        return self._scalar(raw[0])

    def from_json(self, raw: object) -> Value:
        """Return the value of decoded JSON or TOML (with Decimal for float). Raises ValueError as `from_text`."""
        if not self.is_list:
            return self._scalar(self._json_text(raw))
        if not isinstance(raw, list):
            raise ValueError(f"{self.name} must be a list")
        self._check_length(len(raw), "items")
        return [self._scalar(self._json_text(item)) for item in raw]

    def _json_text(self, raw: object) -> str:
        accepted = SCALAR_TYPES[self.type].json
        # JSON has one type of number, and some clients write 42 as 42.0. Comparisons are exact. Arithmetic is not, and
        # raises ArithmeticError for 1e999999999.
        if self.type == "integer" and isinstance(raw, Decimal) and _BIGINT.start <= raw < _BIGINT.stop:
            raw = int(raw) if raw == int(raw) else raw
        if isinstance(raw, bool):
            raw, is_accepted = str(raw).lower(), bool in accepted
        elif isinstance(raw, date):  # from TOML, which has dates
            raw, is_accepted = raw.isoformat(), self.type in ("date", "timestamp")
        else:
            is_accepted = isinstance(raw, accepted)
        if not is_accepted:
            article = "an" if self.type in ("integer", "enum") else "a"
            raise ValueError(f"{self.name} must be {article} {self.type}, written as JSON {self.json_kind}")
        return str(raw)

    @property
    def sql_type(self) -> str:
        """The type in SQL, such as bigint[].

        It is "" for an enum, and for a list of one: the place in the SQL decides. So an enum can be compared with a
        column of text as well as with one of an enum type, whose name the catalogue does not know.
        """
        sql = SCALAR_TYPES[self.type].sql
        return f"{sql}[]" if sql and self.is_list else sql

    @property
    def json_kind(self) -> str:
        """The JSON type that carries a value: string, integer, number or boolean."""
        kind: str = SCALAR_TYPES[self.type].schema["type"]
        return kind

    def _scalar(self, raw: str) -> Scalar:
        if self.type == "text" and not self.is_list:
            self._check_length(len(raw), "characters")
        try:
            value = SCALAR_TYPES[self.type].parse(raw)
        except ValueError as expected:
            raise ValueError(f"{self.name} must be {expected}, not {shortened(raw)}") from None
        if self.values and value not in self.values:
            raise ValueError(f"{self.name} must be one of {', '.join(self.values)}, not {shortened(raw)}")
        if self.minimum is not None and value < self.minimum:  # type: ignore[operator]  # of one type since load
            raise ValueError(f"{self.name} must be at least {canonical(self.minimum)}, not {shortened(raw)}")
        if self.maximum is not None and value > self.maximum:  # type: ignore[operator]
            raise ValueError(f"{self.name} must be at most {canonical(self.maximum)}, not {shortened(raw)}")
        if self.pattern is not None and not self.pattern.matches(raw):
            raise ValueError(f"{self.name} must match {self.pattern.text}, not {shortened(raw)}")
        return value

    def _check_length(self, length: int, of: str) -> None:
        if self.min_length is not None and length < self.min_length:
            raise ValueError(f"{self.name} must have at least {self.min_length} {of}, not {length}")
        if self.max_length is not None and length > self.max_length:
            raise ValueError(f"{self.name} must have at most {self.max_length} {of}, not {length}")


def bind_text(
    declared: Mapping[str, Parameter], given: Mapping[str, Sequence[str]], claims: Claims | None = NO_CLAIMS
) -> dict[str, Value]:
    """Return the value of each declared parameter, from a decoded query string. Raises BadParameters for all errors.

    `claims` are those of the caller, who may not name a parameter with a claim. Raises Unauthenticated or WrongClaim.
    The default is a caller without a token. None: `given` has these values too, as it is no request of a caller.
    """
    return _bind(declared, given, Parameter.from_text, claims)


def bind_json(
    declared: Mapping[str, Parameter], given: Mapping[str, object], claims: Claims | None = NO_CLAIMS
) -> dict[str, Value]:
    """Return the value of each declared parameter, from a decoded JSON object. Raises as `bind_text`.

    A null is the same as no value: many clients send it for a field that is not set.
    """
    return _bind(declared, given, Parameter.from_json, claims)


def _bind(
    declared: Mapping[str, Parameter],
    given: Mapping[str, Any],
    read: Callable[[Parameter, Any], Value],
    claims: Claims | None,
) -> dict[str, Value]:
    if claims is None:
        return _chosen(declared, given, read)
    of_caller = {name: _claimed(parameter, claims) for name, parameter in declared.items() if parameter.claim}
    chosen = {name: parameter for name, parameter in declared.items() if not parameter.claim} if of_caller else declared
    return _chosen(chosen, given, read) | of_caller


def _claimed(parameter: Parameter, claims: Claims) -> Value:
    try:
        return parameter.from_text([claim_of(claims, parameter.claim)])
    except ValueError:  # the message would show the value
        raise WrongClaim(f"the claim {parameter.claim} of the token is not a value of {parameter.name}") from None


def _chosen(
    declared: Mapping[str, Parameter], given: Mapping[str, Any], read: Callable[[Parameter, Any], Value]
) -> dict[str, Value]:
    unknown = [name for name in given if name not in declared]
    problems = [ParameterProblem(_cut(name), _unknown(name, declared)) for name in unknown[:_UNKNOWN_AT_MOST]]
    values: dict[str, Value] = {}
    for name, parameter in declared.items():
        if given.get(name) is None:
            values[name] = parameter.default
            if parameter.required:
                problems.append(ParameterProblem(name, f"{name} is required ({parameter.type})"))
            continue
        try:
            values[name] = read(parameter, given[name])
        except ValueError as error:
            problems.append(ParameterProblem(name, str(error)))
    if problems:
        raise BadParameters(problems, more=len(unknown[_UNKNOWN_AT_MOST:]))
    return values


def _unknown(name: str, declared: Mapping[str, Parameter]) -> str:
    import difflib  # takes 1 ms, and most requests have no unknown parameter

    near = difflib.get_close_matches(_cut(name), declared, n=1)
    hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(declared) or 'no parameters'}"
    return f"{shortened(name)} is not a parameter here; {hint}"


def shortened(raw: str) -> str:
    """Return a text of a caller as a message may show it."""
    return repr(_cut(raw))


def _cut(raw: str) -> str:
    return raw if len(raw) <= _SHOWN_AT_MOST else raw[: _SHOWN_AT_MOST - 3] + "..."


def to_query_string(values: Mapping[str, Value]) -> str:
    """Return the query string of `values`, the inverse of `bind_text`. A list repeats its name. None is omitted."""
    return urlencode(
        [
            (name, _written(each))
            for name, value in values.items()
            if value is not None
            for each in (value if isinstance(value, list) else [value])
        ]
    )


def _written(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        # A caller writes 1e399 in five characters. In digits an entry would take eighty times as many.
        shortest = str(value.normalize(_ALL_DIGITS)).replace("E+", "E")
        return min(str(value), shortest, key=len)
    return str(canonical(value))


def canonical(value: Value) -> Any:
    """Return `value` as a JSON value, one form per value. Cache keys and tags of rows are made of it."""
    if isinstance(value, list):
        return [canonical(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    return value

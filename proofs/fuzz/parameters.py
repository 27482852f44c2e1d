"""Parameters of every type, from URLs and from JSON: a value in its one form, or 400. Nothing else.

The same value has the same cache key, and another value another key. Whether two texts have the same value, `_meaning`
says without the code under test.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, Final, NamedTuple
from urllib.parse import quote
from uuid import UUID

from cacheaside.catalogue.parameters import SCALAR_TYPES, Parameter, Value, bind_json, bind_text, to_query_string
from cacheaside.catalogue.patterns import Pattern
from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Query
from cacheaside.errors import BadBody, BadParameters, BodyTooLarge, CacheasideError
from cacheaside.http.messages import Request
from cacheaside.http.problems import problem_response
from cacheaside.http.requests import json_object, query_parameters
from cacheaside.reading.question import Question
from proofs.fuzz import strategies as st
from proofs.fuzz.hostile import JSON_TEXTS, QUERY_STRINGS, near
from proofs.fuzz.target import Target

__all__ = ["ENUM", "TARGET"]

ENUM: Final = ("a", "it's", "so\\so", "b,c", "{a}")
_PATTERNS: Final = ("", "[a-z]*", "(a|aa)+", ".*", "(?s).*'.*")
_ANSWER_AT_MOST: Final = 8_000  # bytes of a problem, which may name five unknown parameters and all declared ones


class Written(NamedTuple):
    """One parameter, declared with `options`, and two ways to write its value in a URL."""

    kind: str
    options: Mapping[str, Any]
    one: list[str]
    other: list[str]


class Sent(NamedTuple):
    """A query string and a body, as a caller sends them to statements that have a parameter of each type."""

    query_string: str
    body: str


def _options(kind: str) -> st.Strategy[dict[str, Any]]:
    lengths = {"min_length": st.integers(0, 3), "max_length": st.integers(0, 100_000)}
    bounds = {"minimum": st.integers(-9, 9), "maximum": st.integers(-9, 9)} if kind == "integer" else {}
    patterns = {"pattern": st.sampled_from(_PATTERNS)} if kind == "text" else {}
    return st.fixed_dictionaries({"is_list": st.booleans()}, optional={**lengths, **bounds, **patterns})


def _written(kind: str) -> st.Strategy[Written]:
    texts = st.lists(near(kind), min_size=1, max_size=3) | st.lists(near(kind), min_size=1, max_size=1)
    return st.builds(Written, st.just(kind), _options(kind), texts, texts)


def _declared(kind: str, options: Mapping[str, Any]) -> Parameter:
    values = ENUM if kind == "enum" else ()
    pattern = Pattern.parse(options["pattern"]) if "pattern" in options else None
    return Parameter(**{**options, "name": "x", "type": kind, "values": values, "pattern": pattern})


_EVERY_TYPE: Final = {
    name: Parameter(name=name, type=kind, is_list=is_list, required=False, values=ENUM if kind == "enum" else ())
    for kind in SCALAR_TYPES
    for name, is_list in ((kind, False), (f"{kind}s", True))
} | {name: Parameter(name=name, type=kind) for name, kind in (("x", "integer"), ("id", "text"), ("é", "number"))}


def _question(parameters: Mapping[str, Parameter], values: Mapping[str, Value]) -> Question:
    query = Query("q", "", "select 1", "many", 1_000, parameters, ("things",), Policy(ttl_ms=1_000))
    return Question(query, values)


def _check(case: Written | Sent) -> None:
    if isinstance(case, Sent):
        _check_query_string(case.query_string)
        _check_body(case.body)
        return
    declared = {"x": _declared(case.kind, case.options)}
    one, other = (_bound(declared, texts) for texts in (case.one, case.other))
    if one is None or other is None:
        return
    same = _meaning(case.kind, case.one) == _meaning(case.kind, case.other)
    keys = [_question(declared, values).keys for values in (one, other)]
    assert (keys[0] == keys[1]) is same, f"the keys are {'not ' * same}the same: {keys}"


def _bound(declared: Mapping[str, Parameter], texts: list[str]) -> dict[str, Value] | None:
    """Return the values, or None if they are refused."""
    with suppress(UnicodeEncodeError):  # half a surrogate pair has no UTF-8, so no URL has it
        query_string = "&".join(f"x={quote(text)}" for text in texts)
        try:
            values = bind_text(declared, query_parameters(query_string))
        except BadParameters as error:
            _check_refusal(error)
            return None
        _check_values(declared, values)
        return values
    return None


def _check_values(declared: Mapping[str, Parameter], values: Mapping[str, Value]) -> None:
    assert values.keys() == declared.keys()
    question = _question(declared, values)
    again = bind_text(declared, query_parameters(question.query_string))
    if all(value != [] for value in values.values()):  # a URL cannot say that a list is empty
        assert repr(again) == repr(values), f"{to_query_string(values)} gives other values"
        assert _question(declared, again).keys == question.keys
    json.dumps([question.query_string, *question.keys]).encode()
    assert question.digest == _question(declared, {name: values[name] for name in reversed(list(values))}).digest


def _check_query_string(query_string: str) -> None:
    try:
        _check_values(_EVERY_TYPE, bind_text(_EVERY_TYPE, query_parameters(query_string)))
    except BadParameters as error:
        _check_refusal(error)


def _check_body(body: str) -> None:
    invocation: Any = SimpleNamespace(aws_request_id="0", get_remaining_time_in_millis=lambda: 1_000)
    event = {
        "requestContext": {"http": {"method": "POST"}},
        "rawPath": "/",
        "headers": {"content-type": "application/json"},
        "body": body,
    }
    try:
        given = json_object(Request(event, invocation))
        values = bind_json(_EVERY_TYPE, given)
    except (BadBody, BodyTooLarge, BadParameters) as error:
        _check_refusal(error)
        return
    json.loads(body)  # what is taken for JSON is JSON
    _check_values(_EVERY_TYPE, values)


def _check_refusal(error: CacheasideError) -> None:
    body = problem_response(error, "0").body
    assert len(body.encode()) < _ANSWER_AT_MOST, f"{len(body)} bytes tell that {body[:200]}"
    json.loads(body)


def _meaning(kind: str, texts: list[str]) -> list[Any]:
    readers: dict[str, Any] = {
        "integer": Fraction,
        "number": Fraction,
        "date": date.fromisoformat,
        "timestamp": lambda text: at if (at := datetime.fromisoformat(text)).tzinfo else at.replace(tzinfo=UTC),
        "uuid": UUID,
    }
    return [readers.get(kind, str)(text) for text in texts]


TARGET: Final = Target(
    name="parameters",
    cases=st.one_of(*map(_written, SCALAR_TYPES), st.builds(Sent, QUERY_STRINGS, JSON_TEXTS)),
    check=_check,
)

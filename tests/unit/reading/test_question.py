"""The digest of a question: all that changes an answer changes it, and nothing else does."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from cacheaside.catalogue.parameters import Parameter, Value, bind_json, bind_text
from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Query
from cacheaside.reading.entry import Entry
from cacheaside.reading.question import Question

PARAMETER = Parameter(name="x", type="text")
QUERY = Query(
    name="q",
    summary="",
    sql="select %(x)s",
    returns="many",
    timeout_ms=10_000,
    tags=("a", "b"),
    parameters={"x": PARAMETER},
    policy=Policy(ttl_ms=60_000, negative_ttl_ms=5_000, jitter=0.5),
)
VALUES: dict[str, Value] = {"x": "7"}

# A new field must be put into one of the two, so that nobody forgets to ask whether it changes an answer.
QUERY_IN_KEY: dict[str, Any] = {
    "name": "p",
    "sql": "select %(x)s::text",
    "returns": "one",
    "tags": ("b", "a"),
    "parameters": {"x": PARAMETER._replace(type="number")},
}
QUERY_NOT_IN_KEY: dict[str, Any] = {
    "summary": "another",
    "timeout_ms": 1,
    "policy": Policy(ttl_ms=1),
    "verify": False,
}
PARAMETER_IN_KEY: dict[str, Any] = {"name": "y", "type": "enum", "is_list": True}
# They decide which values are accepted, or which value is used if none is given. The value itself is in the key.
PARAMETER_NOT_IN_KEY: dict[str, Any] = {
    "required": False,
    "default": "d",
    "example": "e",
    "minimum": "1",
    "maximum": "9",
    "min_length": 1,
    "max_length": 9,
    "pattern": None,
    "values": ("7",),
    "description": "another",
    "claim": "sub",
}


def digest(query: Query = QUERY) -> bytes:
    return Question(query, VALUES).digest


def with_parameter(**changes: Any) -> Query:
    return QUERY._replace(parameters={"x": PARAMETER._replace(**changes)})


def test_every_field_is_known_to_change_an_answer_or_not() -> None:
    assert set(Query._fields) == QUERY_IN_KEY.keys() | QUERY_NOT_IN_KEY.keys()
    assert set(Parameter._fields) == PARAMETER_IN_KEY.keys() | PARAMETER_NOT_IN_KEY.keys()


@pytest.mark.parametrize("field", QUERY_IN_KEY)
def test_edited_query_reads_no_answer_of_the_query_before(field: str) -> None:
    assert digest(QUERY._replace(**{field: QUERY_IN_KEY[field]})) != digest()


@pytest.mark.parametrize("field", PARAMETER_IN_KEY)
def test_edited_parameter_reads_no_answer_of_the_query_before(field: str) -> None:
    assert digest(with_parameter(**{field: PARAMETER_IN_KEY[field]})) != digest()


def test_edit_that_changes_no_answer_keeps_the_cache() -> None:
    assert all(digest(QUERY._replace(**{name: value})) == digest() for name, value in QUERY_NOT_IN_KEY.items())
    assert all(digest(with_parameter(**{name: value})) == digest() for name, value in PARAMETER_NOT_IN_KEY.items())


def test_code_of_another_version_has_other_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest()
    monkeypatch.setattr("cacheaside.reading.question._VERSIONS", b"another")
    assert digest() != before


def test_no_two_values_share_an_answer() -> None:
    values: list[Value] = ["", "null", "[]", "7", " 7", "é", "e\u0301", 7, True, None, [], ["7"], ["7", "7"], "7,7"]
    digests = [Question(QUERY, {"x": value}).digest for value in values]
    assert all(one != other for one, other in combinations(digests, 2))


NOW_MS = 1_000_000
ENTRY = Entry(
    body=b"{}",
    created_ms=NOW_MS,
    fresh_until_ms=NOW_MS + 60_000,
    load_ms=1,
    token=bytes(16),
    tag_versions=(),
    etag=bytes(16),
    question=digest(),
    query_string="",
)


def accepted(**changes: Any) -> Entry | None:
    return Question(QUERY, VALUES).accept(ENTRY._replace(**changes), NOW_MS)


def test_own_entry_is_accepted_also_from_a_clock_that_is_a_minute_ahead() -> None:
    assert accepted() == ENTRY
    ahead = {"created_ms": NOW_MS + 60_000, "fresh_until_ms": NOW_MS + 120_000}
    assert accepted(**ahead) == ENTRY._replace(**ahead)


@pytest.mark.parametrize("fresh_ms", [60_001, 3_600_000, 2**63])
def test_entry_of_code_with_a_longer_ttl_is_fresh_for_the_ttl_of_this_code(fresh_ms: int) -> None:
    assert accepted(fresh_until_ms=NOW_MS + fresh_ms) == ENTRY
    no_row = ENTRY._replace(body=None, fresh_until_ms=NOW_MS + 5_000)
    assert accepted(body=None, fresh_until_ms=NOW_MS + fresh_ms) == no_row


@pytest.mark.parametrize("changes", [{"fresh_until_ms": NOW_MS + 57_000}, {"body": None, "fresh_until_ms": NOW_MS + 1}])
def test_entry_that_is_fresh_for_less_than_the_ttl_stays_so(changes: dict[str, Any]) -> None:
    assert accepted(**changes) == ENTRY._replace(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"question": digest(QUERY._replace(name="p"))},
        {"created_ms": NOW_MS + 60_001, "fresh_until_ms": NOW_MS + 60_002},
    ],
    ids=["of another question", "from the future"],
)
def test_entry_that_no_fill_of_the_question_has_made_is_refused(changes: dict[str, Any]) -> None:
    assert accepted(**changes) is None


def test_parameters_that_differ_in_case_have_their_own_values() -> None:
    names = ("authorId", "authorid")
    query = QUERY._replace(parameters={name: Parameter(name=name, type="integer") for name in names})
    values = bind_text(query.parameters, {"authorId": ["1"], "authorid": ["2"]})
    assert values == bind_json(query.parameters, {"authorid": 2, "authorId": 1}) == {"authorId": 1, "authorid": 2}
    question, swapped = Question(query, values), Question(query, {"authorId": 2, "authorid": 1})
    assert question.query_string == "authorId=1&authorid=2"
    assert question.digest != swapped.digest

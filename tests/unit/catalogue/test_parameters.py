"""Parameters: accepted values, refused values and their messages, and one canonical form per value."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import parse_qs

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from cacheaside.catalogue.parameters import (
    SCALAR_TYPES,
    Parameter,
    Value,
    bind_json,
    bind_text,
    canonical,
    shortened,
    to_query_string,
)
from cacheaside.catalogue.patterns import Pattern
from cacheaside.errors import BadParameters


def text(type_: str, *raw: str, **rules: object) -> Value:
    return Parameter(name="p", type=type_, **rules).from_text(raw)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("type_", "raw", "value"),
    [
        ("text", "", ""),
        ("text", "Ærø, 100 %", "Ærø, 100 %"),
        ("integer", "-42", -42),
        ("integer", "+7", 7),
        ("integer", "9223372036854775807", 2**63 - 1),
        ("number", "9.990", Decimal("9.99")),
        ("number", "1e2", Decimal(100)),
        ("number", "-0", Decimal(0)),
        ("number", "-0e99", Decimal(0)),
        ("number", ".5", Decimal("0.5")),
        ("number", "1.7976931348623157e+308", Decimal(17976931348623157 * 10**292)),  # the doubles at both ends
        ("number", "5e-324", Decimal("5e-324")),
        ("number", "9" * 400, Decimal("9" * 400)),
        ("number", "1e399", Decimal("1" + "0" * 399)),
        ("number", "1.0", Decimal(1)),
        ("boolean", "true", True),
        ("date", "2024-02-29", date(2024, 2, 29)),
        ("timestamp", "2024-01-01T01:00:00+01:00", datetime(2024, 1, 1, tzinfo=UTC)),
        ("timestamp", "2024-01-01T15:59:00+15:59", datetime(2024, 1, 1, tzinfo=UTC)),
        ("timestamp", "2023-12-31T12:00:00.0-12:00", datetime(2024, 1, 1, tzinfo=UTC)),
        ("timestamp", "9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("timestamp", "2024-01-01 00:00", datetime(2024, 1, 1, tzinfo=UTC)),
        ("uuid", "0E37DF36-F698-11E6-8DD4-CB9CED3DF976", "0e37df36-f698-11e6-8dd4-cb9ced3df976"),
    ],
)
def test_value_is_read(type_: str, raw: str, value: Value) -> None:
    assert repr(text(type_, raw)) == repr(value)  # `==` cannot tell 0 and -0, or 1 and True apart


@pytest.mark.parametrize(
    ("type_", "raw"),
    [
        ("text", "a\0b"),
        ("integer", ""),
        ("integer", "1.0"),
        ("integer", "9223372036854775808"),
        ("integer", "1_000"),
        ("integer", "٤٢"),
        ("number", "NaN"),
        ("number", "inf"),
        ("number", "1e999"),
        ("number", "9" * 401),
        ("number", "-1e400"),
        ("number", "1e-400"),
        ("boolean", "1"),
        ("boolean", "True"),
        ("date", "2024-02-30"),
        ("date", "20240229"),
        ("date", "2024-W09-4"),
        ("timestamp", "2024-01-01"),
        ("timestamp", "2024-01-01T01:00:00 01:00"),
        ("timestamp", "0001-01-01T00:00:00+14:00"),
        ("timestamp", "9999-12-31T23:59:59-00:01"),
        ("timestamp", "0000-01-01T00:00:00Z"),
        ("timestamp", "10000-01-01T00:00:00Z"),
        ("timestamp", "2024-01-01T00:00:00+00:60"),
        ("timestamp", "2024-01-01T00:00:00-05:99"),
        ("timestamp", "2024-01-01T00:00:00+16:00"),
        ("timestamp", "2024-01-01T00:00:00+23:59"),
        ("timestamp", "2024-01-01T00:00:00+24:00"),
        ("timestamp", "2024-01-01T00:00:00+1:00"),
        ("timestamp", "2024-01-01T00:00:00+01:00:30"),
        ("timestamp", "2024-01-01T23:59:60Z"),
        ("timestamp", "2024-01-01T24:00:00Z"),
        ("timestamp", "2024-01-01T00:00:00.1234567Z"),
        ("timestamp", "2024-01-01T00:00:00Z\n"),
        ("timestamp", "٢٠٢٤-01-01T00:00:00Z"),
        ("date", "0000-01-01"),
        ("date", "2024-01-01\n"),
        ("integer", "42\n"),
        ("number", "1e400"),
        ("number", "1\n"),
        ("number", "٤.٢"),
        ("uuid", "0e37df36f69811e68dd4cb9ced3df976"),
    ],
)
def test_malformed_value_is_refused_with_an_example(type_: str, raw: str) -> None:
    with pytest.raises(ValueError, match=r"^p must be .*, not ['\"]"):
        text(type_, raw)


@pytest.mark.parametrize(
    ("rules", "raw", "says"),
    [
        ({"minimum": 1}, "0", "p must be at least 1, not '0'"),
        ({"maximum": 9}, "10", "p must be at most 9, not '10'"),
    ],
)
def test_message_about_a_bound_names_it(rules: dict[str, object], raw: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        text("integer", raw, **rules)


def test_length_pattern_and_values_are_checked() -> None:
    with pytest.raises(ValueError, match="p must have at most 2 characters, not 3"):
        text("text", "abc", max_length=2)
    with pytest.raises(ValueError, match=r"p must match \[a-z\]\+, not 'A'"):
        text("text", "A", pattern=Pattern.parse("[a-z]+"))
    with pytest.raises(ValueError, match="p must be one of open, closed, not 'x'"):
        text("enum", "x", values=("open", "closed"))


@pytest.mark.parametrize("length", [1, 4])
def test_length_within_its_limits_is_accepted_and_any_other_is_refused(length: int) -> None:
    for type_, is_list, of in (("text", False, "characters"), ("integer", True, "items")):
        raw = ["1" * length] if type_ == "text" else ["1"] * length
        assert text(type_, *raw, is_list=is_list, min_length=length, max_length=length)
        with pytest.raises(ValueError, match=f"p must have at least {length + 1} {of}, not {length}"):
            text(type_, *raw, is_list=is_list, min_length=length + 1)
        with pytest.raises(ValueError, match=f"p must have at most {length - 1} {of}, not {length}"):
            text(type_, *raw, is_list=is_list, max_length=length - 1)


def test_length_of_a_list_does_not_limit_its_texts() -> None:
    assert text("text", "abc", "d", is_list=True, min_length=2, max_length=2) == ["abc", "d"]


def test_bound_itself_is_accepted() -> None:
    assert text("integer", "5", minimum=5, maximum=5) == 5


def test_json_list_is_read_item_by_item() -> None:
    listed = Parameter(name="p", type="integer", is_list=True, max_length=2)
    assert listed.from_json([1, Decimal("2.0")]) == [1, 2]
    with pytest.raises(ValueError, match="p must be a list"):
        listed.from_json(1)
    with pytest.raises(ValueError, match="p must have at most 2 items, not 3"):
        listed.from_json([1, 2, 3])


@pytest.mark.parametrize(
    ("type_", "value"), [("date", date(2024, 2, 29)), ("timestamp", datetime(2024, 2, 29, 1, tzinfo=UTC))]
)
def test_date_of_toml_is_a_value_of_its_type_only(type_: str, value: date) -> None:
    assert Parameter(name="p", type=type_).from_json(value) == value
    with pytest.raises(ValueError, match="p must be a text, written as JSON string"):
        Parameter(name="p", type="text").from_json(value)


@pytest.mark.parametrize(
    ("type_", "sql", "json"),
    [
        ("text", "text", "string"),
        ("integer", "bigint", "integer"),
        ("number", "numeric", "number"),
        ("boolean", "boolean", "boolean"),
        ("date", "date", "string"),
        ("timestamp", "timestamptz", "string"),
        ("uuid", "uuid", "string"),
        ("enum", "", "string"),
    ],
)
def test_type_in_sql_and_in_json(type_: str, sql: str, json: str) -> None:
    declared = Parameter(name="p", type=type_)
    assert (declared.sql_type, declared.json_kind) == (sql, json)
    assert declared._replace(is_list=True).sql_type == (f"{sql}[]" if sql else "")


def test_list_is_the_parameter_repeated() -> None:
    assert text("integer", "1", "2", is_list=True) == [1, 2]
    with pytest.raises(ValueError, match="at most 1 items, not 2"):
        text("integer", "1", "2", is_list=True, max_length=1)


def test_scalar_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="p must be given once, not 2 times"):
        text("integer", "1", "2")


def test_two_spellings_of_one_value_have_one_canonical_form() -> None:
    for type_, one, other, form in [
        ("number", "1.50", "+1.5", "1.5"),
        ("number", "100", "1e2", "100"),
        ("number", "5e-12", ".0000000000050", "0.000000000005"),
        ("timestamp", "2024-01-01T01:00:00+01:00", "2024-01-01 00:00", "2024-01-01T00:00:00Z"),
        ("uuid", "0E37DF36-F698-11E6-8DD4-CB9CED3DF976", *["0e37df36-f698-11e6-8dd4-cb9ced3df976"] * 2),
    ]:
        assert [canonical(text(type_, spelling)) for spelling in (one, other)] == [form, form]


DECLARED = {
    "id": Parameter(name="id", type="integer", minimum=1),
    "limit": Parameter(name="limit", type="integer", required=False, default=10),
}


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(BadParameters) as caught:
        bind_text(DECLARED, {"limit": ["many"], "limt": ["3"]})
    assert {problem.parameter: problem.detail for problem in caught.value.problems} == {
        "limt": "'limt' is not a parameter here; did you mean limit?",
        "id": "id is required (integer)",
        "limit": "limit must be a whole number of at most 64 bits, such as 42, not 'many'",
    }


@pytest.mark.parametrize(("declared", "takes"), [(DECLARED, "id, limit"), ({}, "no parameters")])
def test_name_that_is_like_no_other_is_answered_with_all(declared: dict[str, Parameter], takes: str) -> None:
    with pytest.raises(BadParameters, match=f"'zzz' is not a parameter here; it takes {takes}$"):
        bind_text(declared, {"zzz": ["3"], "id": ["1"]} if declared else {"zzz": ["3"]})


def test_default_is_used() -> None:
    assert bind_text(DECLARED, {"id": ["1"]}) == {"id": 1, "limit": 10}


@pytest.mark.parametrize(
    "given",
    [
        "42",
        *map(Decimal, ("4.5", "1e99", "-1e999999999", "1e-999999999", "9223372036854775808.0")),
        True,
        [42],
        {"id": 42},
    ],
)
def test_json_of_the_wrong_kind_is_refused(given: object) -> None:
    with pytest.raises(BadParameters, match="id must be an integer, written as JSON integer"):
        bind_json(DECLARED, {"id": given})


def test_json_number_without_a_fraction_is_an_integer() -> None:
    assert repr(bind_json(DECLARED, {"id": Decimal("4.2e1"), "limit": Decimal("10.0")})) == "{'id': 42, 'limit': 10}"


def test_least_integer_may_have_a_fraction_of_zero() -> None:
    limit = Parameter(name="limit", type="integer")
    assert bind_json({"limit": limit}, {"limit": Decimal("-9223372036854775808.0")}) == {"limit": -(2**63)}


@pytest.mark.parametrize("value", [True, False])
def test_json_boolean_is_a_boolean_and_nothing_else(value: bool) -> None:
    assert bind_json({"p": Parameter(name="p", type="boolean")}, {"p": value}) == {"p": value}
    with pytest.raises(BadParameters, match="p must be a text, written as JSON string"):
        bind_json({"p": Parameter(name="p", type="text")}, {"p": value})


def test_json_number_is_no_enum() -> None:
    with pytest.raises(BadParameters, match="p must be an enum, written as JSON string"):
        bind_json({"p": Parameter(name="p", type="enum", values=("a",))}, {"p": 1})


def test_json_null_is_the_same_as_no_value() -> None:
    declared = DECLARED | {"note": Parameter(name="note", type="text", required=False)}
    assert bind_json(declared, {"id": 1, "limit": None, "note": None}) == bind_json(declared, {"id": 1})
    with pytest.raises(BadParameters, match="id is required"):
        bind_json(declared, {"id": None})


def test_json_null_is_no_item_of_a_list() -> None:
    with pytest.raises(ValueError, match="written as JSON integer"):
        Parameter(name="p", type="integer", is_list=True, required=False).from_json([1, None])


def test_pattern_and_values_apply_to_the_items_of_a_list() -> None:
    with pytest.raises(ValueError, match=r"p must match \[a-z\], not 'B'"):
        text("text", "a", "B", is_list=True, pattern=Pattern.parse("[a-z]"))
    with pytest.raises(ValueError, match="p must be one of a, not 'B'"):
        text("enum", "a", "B", is_list=True, values=("a",))


def test_length_is_checked_before_all_else() -> None:
    for raw, is_list in (["A" * 3], False), (["A"] * 3, True):
        with pytest.raises(ValueError, match=r"p must have at most 2 (characters|items), not 3"):
            text("text", *raw, is_list=is_list, max_length=2, pattern=Pattern.parse("[a-z]+"))


def test_unknown_parameters_are_counted_after_the_first_ones() -> None:
    with pytest.raises(BadParameters) as caught:
        bind_text(DECLARED, {f"limit{number}" * 1000: ["1"] for number in range(10_000)} | {"limit": ["many"]})
    assert [len(problem.parameter) for problem in caught.value.problems[:5]] == [40] * 5
    assert [problem.parameter for problem in caught.value.problems[5:]] == ["id", "limit"]
    assert str(caught.value).endswith("; and 9995 more")


def test_long_input_is_not_repeated_in_full() -> None:
    assert [shortened("x" * length)[1:-1] for length in (40, 41)] == ["x" * 40, "x" * 37 + "..."]
    with pytest.raises(BadParameters) as caught:
        bind_text(DECLARED, {"id": ["x" * 10_000]})
    assert len(str(caught.value)) < 200


# Texts for each type that are valid or nearly valid.
WRITTEN = {
    "text": st.text(st.characters(codec="utf-8")),
    "integer": st.integers(-(2**63), 2**63).map(str),
    "number": st.from_regex(r"[+-]?[0-9]{1,60}(\.[0-9]{0,60})?(e-?[0-9]{1,2})?", fullmatch=True),
    "boolean": st.sampled_from(["true", "false"]),
    "date": st.dates().map(str),
    "timestamp": st.builds(
        lambda at, offset: f"{at.isoformat()}{offset}", st.datetimes(), st.sampled_from(["", "Z", "+05:30", "-11:00"])
    ),
    "uuid": st.uuids().map(str) | st.uuids().map(lambda uuid: str(uuid).upper()),
    "enum": st.sampled_from(["a", "a b", "a&b=c", "%41", "ø", "b,c"]),
}
OF_ALL_TYPES = {
    name: Parameter(name=name, type=type_, is_list=is_list, required=False)
    for type_ in SCALAR_TYPES
    for name, is_list in ((type_, False), (f"{type_}s", True))
}
GIVEN = {
    name: st.lists(WRITTEN[declared.type], min_size=1, max_size=3 if declared.is_list else 1)
    for name, declared in OF_ALL_TYPES.items()
}


@given(st.fixed_dictionaries({}, optional=GIVEN))
def test_query_string_binds_to_the_same_values(written: dict[str, list[str]]) -> None:
    try:
        values = bind_text(OF_ALL_TYPES, written)
    except BadParameters:
        reject()
    again = bind_text(OF_ALL_TYPES, parse_qs(to_query_string(values), keep_blank_values=True))
    assert repr(again) == repr(values)  # `==` cannot tell True, 1 and 1.0 apart


def test_query_string_is_not_much_longer_than_what_a_caller_sends() -> None:
    for sent in ("1e399", "-1E-397", "100", "123.456"):
        values = bind_text(OF_ALL_TYPES, {"numbers": [sent] * 50})
        assert len(to_query_string(values)) <= len(f"numbers={sent}&") * 50
    assert to_query_string(bind_text(OF_ALL_TYPES, {"number": ["1e399"]})) == "number=1E399"
    assert to_query_string(bind_text(OF_ALL_TYPES, {"number": ["9" * 60]})) == f"number={'9' * 60}"  # not rounded


def test_canonical_list_has_one_form_of_each_value() -> None:
    assert canonical([Decimal("1.5"), date(2026, 1, 2), "a"]) == ["1.5", "2026-01-02", "a"]


def test_query_string_is_the_same_for_every_spelling() -> None:
    written = {"uuids": ["0E37DF36-F698-11E6-8DD4-CB9CED3DF976"], "number": ["+1.50"], "text": [""]}
    values = bind_text(OF_ALL_TYPES, written)
    assert to_query_string(values) == "text=&number=1.5&uuids=0e37df36-f698-11e6-8dd4-cb9ced3df976"

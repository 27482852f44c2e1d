"""Parameters of the command line and of files, and the bodies made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.parameters import Parameter
from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Query
from cacheaside.errors import BadParameters, UnknownStatement
from local.errors import LocalError
from local.examples import examples, path_of
from local.live.asked import question_of
from local.live.durations import duration
from local.live.invalidation import body_of_question
from local.live.parameter_files import read_parameters

PARAMETERS = {
    "price": Parameter(name="price", type="number"),
    "on": Parameter(name="on", type="date"),
    "names": Parameter(name="names", type="text", is_list=True),
    "live": Parameter(name="live", type="boolean", required=False),
}
CATALOGUE = Catalogue({"things": Query("things", "", "", "many", 1, PARAMETERS, (), Policy(1))}, {})


def test_a_list_repeats_its_name_and_a_value_may_have_an_equals_sign() -> None:
    asked = question_of(CATALOGUE, "things", ["price=1.50", "on=2026-01-01", "names=a=b", "names=c"])
    assert asked.values["names"] == ["a=b", "c"]
    assert asked.query_string == "price=1.5&on=2026-01-01&names=a%3Db&names=c"


def test_mistakes_are_told_in_the_words_of_the_api() -> None:
    with pytest.raises(BadParameters, match="price is required"):
        question_of(CATALOGUE, "things", ["on=2026-01-01", "names=a"])
    with pytest.raises(UnknownStatement, match=r"there is no query thingz; did you mean things\?"):
        question_of(CATALOGUE, "thingz", [])
    with pytest.raises(ValueError, match="'42' is no parameter; write name=value"):
        question_of(CATALOGUE, "things", ["42"])


def test_a_body_has_every_digit_of_a_number() -> None:
    words = ["price=0.1000000000000000055511151231257827", "on=2026-01-01", "names=é", "live=true"]
    assert body_of_question(question_of(CATALOGUE, "things", words)) == (
        '{"query": "things", "params": {"price": 0.1000000000000000055511151231257827, "on": "2026-01-01", '
        '"names": ["é"], "live": true}}'
    )


def test_a_path_can_be_signed_and_parsed() -> None:
    assert path_of("a b", {"q": "x y&z", "n": [1, 2], "live": True, "none": None}) == (
        "/queries/a%20b?q=x%20y%26z&n=1&n=2&live=true"
    )


def test_a_required_parameter_without_example_is_named() -> None:
    with pytest.raises(LocalError, match="query things: give the required parameter id an example to send"):
        examples({"name": "things", "parameters": {"id": {"required": True}}})


def test_a_csv_has_a_head_and_an_empty_field_is_the_default(tmp_path: Path) -> None:
    file = tmp_path / "ids.csv"
    file.write_text('\ufeffid,name\r\n1,"a,b"\r\n2,\r\n', encoding="utf-8")
    assert read_parameters(file) == [{"id": "1", "name": "a,b"}, {"id": "2"}]


def test_json_lines_keep_the_digits_of_numbers(tmp_path: Path) -> None:
    file = tmp_path / "ids.jsonl"
    file.write_text('{"id": 1, "price": 1.10}\n\n{"names": ["a", "\\ud83d\\ude00"]}\n')
    assert read_parameters(file) == [{"id": 1, "price": "1.10"}, {"names": ["a", "😀"]}]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", '{"id": 1}\n[2]\n', r"a\.jsonl:2: write an object"),
        ("a.jsonl", '{"id": 1}\n{"id"\n', r"a\.jsonl:2: Expecting"),
        ("a.jsonl", '{"id": 1}\n{"id": ' + "[" * 100_000, r"a\.jsonl:2: the JSON is nested too deeply"),
        ("a.jsonl", '{"id": 1}\n{"id": ["\\ud800"]}\n', r"a\.jsonl:2: it has half a surrogate pair"),
        ("a.jsonl", '{"id": 1}\n{"\\udfff": 1}\n', r"a\.jsonl:2: it has half a surrogate pair"),
        ("a.csv", "id,name,id\n1,a,2\n", r"a\.csv:1: the head names 'id' twice"),
        ("a.csv", "id,name\n1\n", r"a\.csv:2: the line has not as many fields as the head"),
        ("a.csv", "id\n1,2\n", r"a\.csv:2: the line has not as many fields as the head"),
        ("a.csv", 'id\n"1\n', r"a\.csv: unexpected end of data"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(LocalError, match=message):
        read_parameters(file)


@pytest.mark.parametrize(
    ("ms", "text"),
    [(-5, "0 s"), (0, "0 s"), (350, "350 ms"), (59_999, "59 s"), (600_000, "10 m"), (90_061_000, "1 d 1 h")],
)
def test_durations_have_their_two_largest_units(ms: int, text: str) -> None:
    assert duration(ms) == text

"""What a listed entry is to the next request."""

from __future__ import annotations

import json

import pytest

from cacheaside.catalogue.catalogue import Catalogue
from local.cli.output import print_json
from local.live.cache import Found
from local.live.entries import State, cached_answer
from local.live.listing import as_table, in_full, pretty
from tests.support.cached_thing import CREATED_MS, VERSION, found, question

OTHER = b"w" * 16


class Tags:
    def __init__(self, version: bytes | None) -> None:
        self._version = version

    def values(self, keys: list[str]) -> list[bytes | None]:
        return [self._version for _ in keys]


def state(age_ms: int, *, tag: bytes | None = VERSION) -> tuple[State, int]:
    asked = question()
    catalogue = Catalogue({"thing": asked.query}, {})
    answer = cached_answer(Tags(tag), catalogue, found(asked), CREATED_MS + age_ms)  # type: ignore[arg-type]
    return answer.state, answer.left_ms


@pytest.mark.parametrize(
    ("age_ms", "expected"),
    [
        (1_000, (State.FRESH, 59_000)),
        (65_000, (State.STALE, 5_000)),
        (75_000, (State.LAST_RESORT, 15_000)),
        (95_000, (State.GONE, 0)),
    ],
)
def test_the_state_is_what_the_policy_says_of_that_age(age_ms: int, expected: tuple[State, int]) -> None:
    assert state(age_ms) == expected


def test_an_entry_of_code_with_a_longer_ttl_is_fresh_for_the_ttl_of_the_catalogue() -> None:
    asked = question()
    shorter = asked.query._replace(policy=asked.query.policy._replace(ttl_ms=20_000))
    answer = cached_answer(Tags(VERSION), Catalogue({"thing": shorter}, {}), found(asked), CREATED_MS + 1_000)  # type: ignore[arg-type]
    assert (answer.state, answer.left_ms) == (State.FRESH, 19_000)


@pytest.mark.parametrize("tag", [OTHER, None])
def test_an_entry_whose_tag_has_moved_is_invalidated_however_fresh(tag: bytes | None) -> None:
    assert state(1_000, tag=tag) == (State.INVALIDATED, 0)


def test_an_entry_of_other_sql_or_of_no_query_is_unreadable() -> None:
    asked = question()
    changed = Catalogue({"thing": asked.query._replace(sql="select 2, %(name)s")}, {})
    for catalogue in (changed, Catalogue({}, {})):
        answer = cached_answer(Tags(VERSION), catalogue, found(asked), CREATED_MS)  # type: ignore[arg-type]
        assert (answer.state, answer.left_ms) == (State.UNREADABLE, 0)
        assert "thing" in as_table([answer])


def test_bytes_that_are_no_entry_are_listed_too() -> None:
    asked = question()
    rubbish = Found(asked.keys.entry, b"rubbish", 7, -1, None)
    answer = cached_answer(Tags(VERSION), Catalogue({"thing": asked.query}, {}), rubbish, CREATED_MS)  # type: ignore[arg-type]
    assert answer.state is State.UNREADABLE
    assert "unreadable" in pretty(in_full(answer, None, 0), answer.body)


def test_a_foreign_key_does_not_control_the_terminal() -> None:
    foreign = Found("cacheaside:entry:{\x1b[2J\nx:1}", b"", 0, -1, None)
    answer = cached_answer(Tags(VERSION), Catalogue({}, {}), foreign, CREATED_MS)  # type: ignore[arg-type]
    table, full = as_table([answer]), pretty(in_full(answer, None, 0), None)
    assert "\x1b" not in table + full
    assert table.count("\n") == 2, "a line break in a key is no line of the table"
    assert "  without end\n" in full, "it has no expiry"


def test_json_does_not_control_the_terminal_either(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"key": "\u009b31m\u202eä"}
    print_json(document)
    printed = capsys.readouterr().out
    assert "\\u009b31m\\u202eä" in printed
    assert json.loads(printed) == document


def test_neither_a_parameter_nor_a_row_controls_the_terminal() -> None:
    asked = question("\x1b[31m\u009b")
    catalogue = Catalogue({"thing": asked.query}, {})
    answer = cached_answer(Tags(VERSION), catalogue, found(asked), CREATED_MS)  # type: ignore[arg-type]
    shown = as_table([answer]) + pretty(in_full(answer, None, 0), answer.body)
    assert "name=\\x1b[31m\\x9b" in shown
    assert all(each.isprintable() or each == "\n" for each in shown)


def test_numbers_of_a_body_keep_their_digits() -> None:
    asked = question()
    catalogue = Catalogue({"thing": asked.query}, {})
    answer = cached_answer(Tags(VERSION), catalogue, found(asked), CREATED_MS)  # type: ignore[arg-type]
    assert '"price": 19.90,' in pretty(in_full(answer, None, 0), answer.body)


def test_no_such_row_is_told_from_an_empty_body() -> None:
    asked = question()
    catalogue = Catalogue({"thing": asked.query}, {})
    answer = cached_answer(Tags(VERSION), catalogue, found(asked, None), CREATED_MS)  # type: ignore[arg-type]
    assert pretty(in_full(answer, b"l" * 16, 900), answer.body).endswith("no such row")
    assert f"held by {(b'l' * 16).hex()} for 900 ms" in pretty(in_full(answer, b"l" * 16, 900), answer.body)

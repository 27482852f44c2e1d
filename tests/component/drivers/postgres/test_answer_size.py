"""An answer fits into what Lambda sends, as a string in JSON. A command whose answer does not fit writes nothing."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from typing import Final

import pytest

from cacheaside.catalogue.statements import Command
from cacheaside.drivers.postgres.rendering import body_of
from cacheaside.errors import AnswerTooLarge
from tests.component.support.api import Api
from tests.component.support.declared import declared_command, declared_query
from tests.component.support.sql import Sql
from tests.support.answer import Answer
from tests.support.problem_document import check_problem

LAMBDA_AT_MOST: Final = 6_291_556
# A text, how often PostgreSQL repeats it, and whether that can be sent.
TEXTS: Final = [
    ("'\"'", 2_400_000, False),  # 4.8 MB, and 9.6 MB as sent
    ("'\"'", 1_560_000, True),
    ("'\"'", 1_580_000, False),
    ("e'\\\\'", 1_560_000, True),
    ("e'\\\\'", 1_580_000, False),
    ("e'\\n'", 2_080_000, True),
    ("e'\\n'", 2_100_000, False),
    ("e'\\t'", 2_100_000, False),
    ("'é'", 2_499_000, True),
    ("'🙈'", 1_249_000, True),  # the function sends UTF-8
    ("'🙈'", 1_251_000, False),
    ("'x'", 4_999_000, True),
    ("'x'", 5_001_000, False),
]


@pytest.fixture(autouse=True)
def letters(sql: Sql) -> Iterator[None]:
    sql("truncate cacheaside.idempotency_keys")
    sql("create table letters (text text); grant select, insert on letters to cacheaside_command")
    yield
    sql("drop table letters")


def as_sent(answer: Answer) -> int:
    return len(json.dumps(answer.body.decode(), ensure_ascii=False).encode())


@pytest.mark.parametrize(("text", "times", "fits"), TEXTS)
def test_answer_fits_as_it_is_sent(api: Api, text: str, times: int, fits: bool) -> None:
    answer = declared_query(api, f"select repeat({text}, {times}) as it")()
    if fits:
        assert answer.status == 200
        assert as_sent(answer) < LAMBDA_AT_MOST - 10_000  # and its headers
    else:
        assert check_problem(answer, 500)["type"] == "/docs#answer-too-large"


def test_answer_that_is_far_too_large_is_not_copied() -> None:
    """A sandbox may have no memory for a second one."""
    statement = Command(name="c", summary="", sql="", returns="many", timeout_ms=1_000, parameters={})
    rows = ["x" * 1_000] * 40_000  # one text, so 40 MB only if they are joined
    tracemalloc.start()
    try:
        with pytest.raises(AnswerTooLarge):
            body_of(statement, rows)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_white_space_of_a_json_column_counts_as_it_is_sent(api: Api) -> None:
    spread = "select ('[' || repeat(e'\\n', 3200000) || ']')::json as it"
    assert check_problem(declared_query(api, spread)(), 500)["type"] == "/docs#answer-too-large"


def test_command_whose_answer_cannot_be_sent_writes_nothing(api: Api, sql: Sql) -> None:
    insert = "insert into letters values (repeat(%(x)s, 1600000)) returning text"
    call = declared_command(api, insert, x="text")
    for key in ({}, {"Idempotency_Key": "k"}, {"Idempotency_Key": "k"}):  # a retry, too
        answer = api.post("/commands/declared", {"x": '"'}, **key)
        assert check_problem(answer, 500)["type"] == "/docs#answer-too-large"
    assert sql("select count(*) from letters") == [(0,)]
    assert sql("select count(*) from cacheaside.idempotency_keys") == [(0,)]
    assert call(x="y").status == 200


def test_replayed_answer_fits_as_it_is_sent(api: Api) -> None:
    declared_command(api, "insert into letters values (repeat(%(x)s, 1560000)) returning text", x="text")
    first, replayed = (api.post("/commands/declared", {"x": '"'}, Idempotency_Key="k") for _ in range(2))
    assert (first.status, replayed.status, replayed.headers["idempotency-replayed"]) == (200, 200, "true")
    assert first.body == replayed.body
    assert as_sent(replayed) < LAMBDA_AT_MOST - 10_000

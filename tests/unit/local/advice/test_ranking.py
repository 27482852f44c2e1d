"""What a cache saves, for given statistics."""

from __future__ import annotations

import pytest

from local.advice.hit_ratio import hit_ratio
from local.advice.question import Read
from local.advice.ranking import Candidate, estimate, rank
from local.advice.record import Statement, writes_to
from local.advice.tables import Table
from local.drafting.outline import Outline, Place

TABLES = {
    1: Table(1, "orders", "orders", 1000.0, 0.0, ("id",)),
    2: Table(2, "lines", "lines", 10.0, 0.0, ("order", "n")),
}
EQUAL, LESS = 96, 97
ID = Place("compared", "id", 1, EQUAL)
STATUS = Place("compared", "status", 1, EQUAL)


def candidate(*places: Place, calls: int = 600, questions: int | None = None, writes: float = 0.0) -> Candidate:
    """A statement that takes 100 ms, recorded in ten minutes."""
    statement = Statement("select", "select", calls, calls * 100.0, questions)
    outline = Outline(places={number: [place] for number, place in enumerate(places, 1)})
    read = Read("select", (1,), outline, frozenset([EQUAL]), uses_clock=False)
    return estimate(statement, read, 600.0, TABLES, {(1, "status"): 4.0}, {1: writes})


def test_time_saved_is_calls_times_mean_times_hit_ratio() -> None:
    found = candidate(STATUS)
    assert found.questions == 4
    assert found.hit_ratio == hit_ratio(calls=0.25, ttl=found.ttl.seconds, writes=0)
    assert found.saved == pytest.approx(0.1 * found.hit_ratio)  # one call a second, of 100 ms


def test_there_are_no_more_questions_than_calls() -> None:
    assert candidate(ID, STATUS, calls=50).questions == 50
    assert candidate(ID, calls=5000).questions == 1000


def test_counted_questions_are_not_estimated() -> None:
    assert candidate(STATUS, questions=3).questions == 3


def test_only_writes_of_its_row_invalidate_the_answer_about_one_row() -> None:
    assert candidate(ID, writes=2.0).writes == 2.0 / 1000
    assert candidate(STATUS, writes=2.0).writes == 2.0
    assert candidate(Place("compared", "id", 1, LESS), writes=2.0).writes == 2.0
    assert candidate(Place("compared", "id", 1, EQUAL, is_list=True), writes=2.0).writes == 2.0


def test_best_is_first() -> None:
    rare, often = candidate(STATUS, calls=10), candidate(STATUS, calls=1000)
    assert rank([rare, often]) == [often, rare]


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("insert into a.t (x) values ($1)", ["a.t"]),
        ('with w as (update only "T" set x = $1 returning id) delete from t2 using w', ['"T"', "t2"]),
        ("select * from t for update", []),
        ("select * from t for no key update of t", []),
        ("copy t from stdin", ["t"]),
    ],
)
def test_tables_that_a_statement_writes_to(sql: str, tables: list[str]) -> None:
    assert writes_to(sql) == tables

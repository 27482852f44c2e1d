"""A read that the caller wants without the cache: one load, and nothing that others would notice."""

from __future__ import annotations

from typing import Any

import pytest

from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Query
from cacheaside.errors import DatabaseError, DatabaseUnavailable, Overloaded
from cacheaside.reading.outcome import Source
from cacheaside.reading.question import Question
from cacheaside.reading.reader import Reader
from cacheaside.reading.steps import Load, Loaded

QUERY = Query(
    name="product",
    summary="",
    sql="select 1",
    returns="one",
    timeout_ms=10_000,
    tags=("products",),
    parameters={},
    policy=Policy(ttl_ms=60_000, stale_if_error_ms=60_000, local_ms=1_000),
)


class NoCache:
    """A cache that must not be asked."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the cache was asked: {name}")


class Database:
    """Answers every load with `result`, and keeps the loads."""

    def __init__(self, result: Loaded | DatabaseError) -> None:
        self.result, self.loads = result, list[tuple[Load, object]]()

    def load(self, step: Load, renew: object = None) -> Loaded:
        self.loads.append((step, renew))
        if isinstance(self.result, DatabaseError):
            raise self.result
        return self.result


class Noted:
    """A reader of the database alone, and what it tells the drivers."""

    def __init__(self, result: Loaded | DatabaseError) -> None:
        self.told: list[object] = []
        self.database = Database(result)
        note_load, note_overload = lambda *told: self.told.append(told), lambda: self.told.append("overload")
        cache: Any = NoCache()
        self.reader = Reader(cache, self.database, note_load=note_load, note_overload=note_overload)

    def read(self, left_ms: int = 29_000) -> Any:
        return self.reader.read_direct(Question(QUERY, {}), lambda: left_ms)


def test_it_is_one_load_without_a_lease_and_marked_as_direct() -> None:
    noted = Noted(Loaded(b"{}"))
    answer = noted.read()
    [(load, renew)] = noted.database.loads
    assert (load.bypass, load.direct, load.renew, renew) == (True, True, None, None)
    assert (answer.outcome.source, answer.outcome.stored, answer.outcome.refresh) == (Source.DIRECT, False, None)
    assert (answer.outcome.entry.body, len(answer.outcome.entry.token), answer.cache_ms) == (b"{}", 16, 0)
    assert answer.database_ms > 0


def test_it_is_kept_nowhere_so_that_the_next_one_loads_again() -> None:
    noted = Noted(Loaded(b"{}"))
    for _ in range(2):
        noted.read()
    assert len(noted.database.loads) == 2


def test_it_ends_before_the_runtime_does() -> None:
    noted = Noted(Loaded(None))
    noted.read(left_ms=7_000)
    assert noted.database.loads[0][0].timeout_ms == 5_000


@pytest.mark.parametrize("result", [Loaded(b"{}"), Overloaded("full"), DatabaseUnavailable("down")])
def test_it_tells_the_cache_neither_a_load_time_nor_that_there_is_no_room(result: Loaded | DatabaseError) -> None:
    noted = Noted(result)
    if isinstance(result, DatabaseError):
        with pytest.raises(type(result)):
            noted.read()
    else:
        noted.read()
    assert noted.told == []

"""The verifier, with cache, database and clock in memory: which entries it compares, and when it calls one stale."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.parameters import Parameter
from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Query
from cacheaside.errors import CacheUnavailable, DatabaseUnavailable, StatementTimeout
from cacheaside.invalidation.verification import StaleAnswer, Verification
from cacheaside.invalidation.verifier import Verifier
from cacheaside.reading.entry import Entry, decode, encode, entity_tag
from cacheaside.reading.question import Question
from cacheaside.reading.steps import Load, Loaded

NOW_MS = 1_000_000
VERSION, OTHER_VERSION = b"v" * 16, b"w" * 16
QUERY = Query(
    name="product",
    summary="",
    sql="select 1",
    returns="one",
    timeout_ms=20_000,
    tags=("products:{id}",),
    parameters={"id": Parameter(name="id", type="integer")},
    policy=Policy(ttl_ms=60_000, negative_ttl_ms=60_000),
)


class World:
    """All that a verifier works with. `answers` are those of the database, by id. A load takes `load_takes_ms`."""

    def __init__(self, *queries: Query, chance: float = 0.0) -> None:
        self.queries = {query.name: query for query in queries or (QUERY,)}
        self.cache: dict[str, bytes] = {}
        self.read: dict[str, int] = {}  # the versions by key, in the order in which they are found
        self.found_all = True
        self.answers: dict[int, bytes | Exception | None] = {}
        self.pending_s: list[float] = []  # what each drain reports
        self.at_drain: Callable[[], object] = lambda: None
        self.asked: list[list[str]] = []
        self.loads: list[Load] = []
        self.load_takes_ms = 0
        self.elapsed_ms = 5_000_000  # since any moment
        self.slept: list[float] = []
        self.chance = chance
        self.verifier = self.of(self.queries)

    def of(self, queries: Mapping[str, Query]) -> Verifier:
        catalogue = Catalogue(queries, {})
        clock, elapsed = lambda: NOW_MS + 30_000, lambda: self.elapsed_ms
        return Verifier(self, self, catalogue, self.drain, clock, self.sleep, lambda: self.chance, elapsed)

    def stored(self, number: int, query: Query = QUERY, body: bytes | None = b"old", **changes: Any) -> str:
        """Put an answer into the cache that was read lately. Returns its key."""
        question = Question(query, {"id": number})
        entry = Entry(
            body=body,
            created_ms=NOW_MS,
            fresh_until_ms=NOW_MS + 60_000,
            load_ms=10,
            token=b"t" * 16,
            tag_versions=(VERSION,) * len(question.keys.tags),
            etag=entity_tag(body),
            question=question.digest,
            query_string=question.query_string,
        )._replace(**changes)
        self.cache |= {question.keys.entry: encode(entry), **dict.fromkeys(question.keys.tags, VERSION)}
        self.read[question.keys.entry] = 1
        self.answers.setdefault(number, body)
        return question.keys.entry

    def invalidate(self, number: int) -> None:
        self.cache[Question(QUERY, {"id": number}).keys.tags[0]] = OTHER_VERSION

    def drain(self) -> float:
        self.at_drain()
        return self.pending_s.pop(0) if self.pending_s else 0.0

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.elapsed_ms += round(seconds * 1000)

    def recently_read(self, within_s: int) -> tuple[Mapping[str, int], bool]:
        assert within_s == 90
        return self.read, self.found_all

    def values(self, keys: Sequence[str]) -> list[bytes | None]:
        self.asked.append(list(keys))
        return [self.cache.get(key) for key in keys]

    def load(self, step: Load, renew: object = None) -> Loaded:
        self.loads.append(step)
        self.elapsed_ms += self.load_takes_ms
        number: Any = step.question.values["id"]
        answer = self.answers[number]
        if isinstance(answer, Exception):
            raise answer
        return Loaded(answer)

    @property
    def loaded(self) -> list[object]:
        return [load.question.values["id"] for load in self.loads]


def test_answer_that_equals_that_of_the_database_is_right() -> None:
    world = World()
    world.stored(1)
    world.stored(2, body=None)
    assert world.verifier.verify() == Verification(2)
    assert world.slept == [], "nothing differs, so nothing is waited for"


def test_answer_that_differs_after_everything_is_invalidated_is_stale(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    key = world.stored(1)
    world.stored(2)
    world.answers[1] = b"new"
    assert world.verifier.verify() == Verification(2, 0, (StaleAnswer("product", {"id": 1}, key, 30.0),))
    assert world.slept == [0.0]
    [record] = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "stale answer of product(id=1), 30 s old")
    assert vars(record)["parameters"] == {"id": 1}


@pytest.mark.parametrize(("stale_ms", "loaded"), [(0, []), (60_000, [1])])
def test_answer_of_code_with_a_longer_ttl_is_compared_as_long_as_readers_get_it(
    stale_ms: int, loaded: list[int]
) -> None:
    query = QUERY._replace(policy=QUERY.policy._replace(ttl_ms=20_000, stale_ms=stale_ms))
    world = World(query)
    world.stored(1, query)
    world.answers[1] = b"new"
    assert len(world.verifier.verify().stale) == len(loaded)
    assert world.loaded == loaded


def test_answer_to_an_empty_text_is_compared() -> None:
    text = QUERY._replace(parameters={"id": Parameter(name="id", type="text")})
    world = World(text)
    world.stored("", text)  # type: ignore[arg-type]
    assert world.verifier.verify() == Verification(1)


def test_answer_to_one_caller_is_compared() -> None:
    of_caller = QUERY._replace(tags=("products",), parameters={"id": Parameter(name="id", type="integer", claim="sub")})
    world = World(of_caller)
    world.stored(1, of_caller)
    assert world.verifier.verify() == Verification(1)


def test_row_that_was_found_and_answered_before_is_compared_too() -> None:
    world = World()
    world.stored(1, body=None)
    world.answers[1] = b"new"
    assert len(world.verifier.verify().stale) == 1


def test_write_that_was_still_in_the_outbox_makes_no_answer_stale() -> None:
    world = World()
    world.stored(1)
    world.answers[1] = b"new"
    drains: list[None] = []
    world.at_drain = lambda: (drains.append(None), world.invalidate(1) if len(drains) == 2 else None)
    assert world.verifier.verify() == Verification(1)


def test_row_that_another_drainer_holds_is_waited_for() -> None:
    world = World()
    world.stored(1)
    world.answers[1] = b"new"
    world.pending_s = [0.0, 1.0, 0.5]  # the last is as old as the comparison
    assert len(world.verifier.verify().stale) == 1
    assert world.slept == [0.0, 0.5]


def test_nothing_is_reported_while_the_outbox_may_still_hold_the_write() -> None:
    world = World()
    world.stored(1)
    world.answers[1] = b"new"
    world.pending_s = [9.0] * 5
    assert world.verifier.verify() == Verification(1)
    assert world.slept == [0.0, 0.5, 1.0, 1.5]


def test_answer_that_is_replaced_meanwhile_ends_the_wait() -> None:
    world = World()
    key = world.stored(1)
    world.answers[1] = b"new"
    entry = decode(world.cache[key])
    assert entry is not None
    drains: list[None] = []
    newer = encode(entry._replace(token=b"u" * 16))
    world.at_drain = lambda: (drains.append(None), world.cache.update({key: newer}) if len(drains) == 2 else None)
    world.pending_s = [9.0] * 5
    assert world.verifier.verify() == Verification(1)
    assert world.slept == [0.0]


@pytest.mark.parametrize("left", [None, b"garbage"])
def test_answer_that_is_gone_meanwhile_is_not_stale(left: bytes | None) -> None:
    world = World()
    key = world.stored(1)
    world.answers[1] = b"new"
    drains: list[None] = []
    world.at_drain = lambda: (drains.append(None), world.cache.update({key: left}) if len(drains) == 2 else None)  # type: ignore[dict-item]
    assert world.verifier.verify() == Verification(1)


@pytest.mark.parametrize("error", [CacheUnavailable("gone"), DatabaseUnavailable("gone")])
def test_server_that_fails_during_the_second_look_makes_no_answer_stale(error: Exception) -> None:
    world = World()
    world.stored(1)
    world.answers[1] = b"new"
    drains: list[None] = []

    def fail() -> None:
        drains.append(None)
        if len(drains) == 2:
            raise error

    world.at_drain = fail
    assert world.verifier.verify() == Verification(1)


def test_entry_that_no_reader_gets_is_neither_loaded_nor_counted() -> None:
    world = World()
    world.stored(1)
    world.invalidate(1)
    world.cache[world.stored(2)] = b"garbage"
    del world.cache[world.stored(3)]
    world.stored(4, question=b"q" * 16)
    world.stored(5, query_string="id=6")
    world.stored(6, query_string="colour=red")
    assert world.verifier.verify() == Verification(0)
    assert world.loads == []


def test_entries_are_drained_before_the_first_load_and_not_without_any() -> None:
    world, drains = World(), list[int]()
    world.at_drain = lambda: drains.append(len(world.loads))
    world.verifier.verify()
    assert drains == []
    world.stored(1)
    world.verifier.verify()
    assert drains == [0]


def test_only_queries_that_can_be_compared_are() -> None:
    steady = QUERY._replace(name="unsteady", verify=False)
    untagged = QUERY._replace(name="untagged", tags=())
    gone = QUERY._replace(name="gone")
    world = World(QUERY, steady, untagged)
    for number, query in enumerate((gone, steady, untagged, QUERY)):
        world.stored(number, query)
    assert world.verifier.verify() == Verification(1)
    assert world.loaded == [3]


def test_each_query_has_one_answer_compared_before_any_has_a_second() -> None:
    rare = QUERY._replace(name="rare")
    world = World(QUERY, rare)
    for number in range(3):
        world.stored(number)
    world.stored(9, rare)
    assert world.verifier.verify().checked == 4
    assert world.loaded == [0, 9, 1, 2]


def test_entries_are_compared_in_random_order() -> None:
    world, chances = World(), iter([0.9, 0.5, 0.1] + [0.0] * 9)
    world.verifier = Verifier(
        world, world, Catalogue(world.queries, {}), world.drain, lambda: NOW_MS, world.sleep, lambda: next(chances)
    )
    for number in range(3):
        world.stored(number)
    world.verifier.verify()
    assert world.loaded == [2, 1, 0]


def test_no_more_than_200_entries_are_compared_and_the_others_are_counted() -> None:
    world = World()
    for number in range(203):
        world.stored(number)
    assert world.verifier.verify() == Verification(200, 3)


def test_keys_that_could_not_all_be_found_count_as_one_unchecked() -> None:
    world = World()
    world.stored(1)
    world.found_all = False
    assert world.verifier.verify() == Verification(1, 1)


def test_loads_end_after_five_seconds() -> None:
    world = World()
    world.load_takes_ms = 1_250
    for number in range(6):
        world.stored(number)
    assert world.verifier.verify() == Verification(4, 2)


def test_load_of_more_than_ten_seconds_is_left_out() -> None:
    world = World()
    world.stored(1, load_ms=10_001)
    world.stored(2, load_ms=10_000)
    assert world.verifier.verify() == Verification(1, 1)
    assert world.loads[0].timeout_ms == 10_000


def test_load_has_no_more_time_than_its_query() -> None:
    fast = QUERY._replace(timeout_ms=3_000)
    world = World(fast)
    world.stored(1, fast)
    world.verifier.verify()
    assert world.loads[0].timeout_ms == 3_000


@pytest.mark.parametrize(("chance", "loaded"), [(0.6, [1]), (0.7, [])])
def test_load_that_takes_longer_than_what_is_left_is_done_in_proportion(chance: float, loaded: list[int]) -> None:
    world = World(chance=chance)
    world.stored(1, load_ms=8_000)
    world.verifier.verify()
    assert world.loaded == loaded


def test_query_that_fails_does_not_keep_the_others_from_being_compared() -> None:
    world = World()
    for number in range(3):
        world.stored(number)
    world.answers[0] = StatementTimeout("slow")
    assert world.verifier.verify() == Verification(2, 1)


def test_database_that_is_gone_ends_the_comparison_and_what_was_found_counts() -> None:
    world = World()
    for number in range(4):
        world.stored(number)
    world.answers |= {0: b"new", 2: DatabaseUnavailable("gone")}
    verification = world.verifier.verify()
    assert (verification.checked, verification.unchecked, len(verification.stale)) == (2, 2, 1)
    assert world.loaded == [0, 1, 2]


def test_cache_that_is_gone_is_no_error() -> None:
    world = World()
    world.recently_read = lambda _: (_ for _ in ()).throw(CacheUnavailable("gone"))  # type: ignore[method-assign]
    assert world.verifier.verify() == Verification(0)


def test_entry_is_read_once_however_often_it_is_compared() -> None:
    """To read it makes it look as if a caller had."""
    world = World()
    key = world.stored(1)
    for _ in range(3):
        assert world.verifier.verify() == Verification(1)
    assert world.asked.count([key]) == 1
    world.read[key] = 2  # another entry under this key
    world.verifier.verify()
    assert world.asked.count([key]) == 2


def test_entry_that_was_not_read_lately_is_forgotten() -> None:
    world = World()
    key = world.stored(1)
    world.verifier.verify()
    read, world.read = world.read, {}
    world.verifier.verify()
    world.read = read
    world.verifier.verify()
    assert world.asked.count([key]) == 2

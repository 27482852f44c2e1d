"""The read path, one step at a time: the test is the server, so every interleaving can be had by writing it down."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cacheaside.catalogue import BoundQuery, Query
from cacheaside.entry import Entry, decode
from cacheaside.errors import CacheUnavailable, DatabaseUnavailable
from cacheaside.outcome import Outcome, Source
from cacheaside.policy import Policy
from cacheaside.read_path import read
from cacheaside.steps import Acquire, Acquired, Load, Loaded, Look, Looked, Release, Step, Store

POLICY = Policy(ttl_ms=60_000, stale_ms=10_000, negative_ttl_ms=5_000, timeout_ms=10_000, client_ms=0)
QUERY = Query(
    name="product", summary="", sql="select 1", returns="one", timeout_ms=10_000, tags=("products",), parameters={},
    policy=POLICY,
)  # fmt: skip
VERSION, OTHER = b"v" * 16, b"w" * 16
NOTHING = Looked(None, None, (None,))


class Read:
    """One read in progress."""

    def __init__(self, at_ms: int = 1_000_000) -> None:
        self.now_ms = at_ms
        numbers = count(1)
        random: Callable[[int], bytes] = lambda size: next(numbers).to_bytes(size, "big")  # noqa: E731
        self.path = read(BoundQuery(QUERY, {}), lambda: self.now_ms, random)
        self.step: Step = next(self.path)
        self.outcome: Outcome | None = None

    def answer(self, result: object) -> Step | Outcome:
        try:
            self.step = self.path.throw(result) if isinstance(result, Exception) else self.path.send(result)
        except StopIteration as done:
            self.outcome = done.value
            return self.outcome
        return self.step


def expect(step: object, kind: type[Any]) -> Any:
    assert isinstance(step, kind), step
    return step


def filled(at_ms: int = 1_000_000) -> bytes:
    """The entry that a read stores which finds nothing."""
    one = Read(at_ms)
    one.answer(NOTHING)
    one.answer(Acquired(won=True, looked=Looked(None, b"", (VERSION,))))
    return bytes(expect(one.answer(Loaded(b"{}")), Store).entry)


def test_cold_read_loads_once_and_stores_under_its_lease() -> None:
    one = Read()
    expect(one.step, Look)
    acquire = expect(one.answer(NOTHING), Acquire)
    expect(one.answer(Acquired(True, Looked(None, acquire.token, (VERSION,)))), Load)
    one.now_ms += 250
    store = expect(one.answer(Loaded(b"{}")), Store)
    outcome = expect(one.answer(True), Outcome)
    assert store.token == acquire.token
    assert store.lifetime_ms == POLICY.ttl_ms + POLICY.stale_ms
    assert (outcome.source, outcome.stored, outcome.entry.load_ms) == (Source.MISS, True, 250)


def test_age_counts_from_before_the_load() -> None:
    one = Read()
    one.answer(NOTHING)
    one.answer(Acquired(True, Looked(None, b"", (VERSION,))))
    one.now_ms += 5_000
    entry = decode(expect(one.answer(Loaded(b"{}")), Store).entry)
    assert entry is not None
    assert entry.age_ms(one.now_ms) == 5_000


def test_fresh_entry_is_a_hit_in_one_round_trip() -> None:
    one = Read(1_059_999)
    outcome = expect(one.answer(Looked(filled(), None, (VERSION,))), Outcome)
    assert (outcome.source, outcome.entry.body) == (Source.HIT, b"{}")


@pytest.mark.parametrize("tag", [None, OTHER, b"short"])
def test_changed_or_missing_tag_is_a_miss(tag: bytes | None) -> None:
    expect(Read().answer(Looked(filled(), None, (tag,))), Acquire)


def test_expired_entry_is_loaded_again() -> None:
    one = Read(1_060_000)
    one.answer(Looked(filled(), None, (VERSION,)))
    one.answer(Acquired(True, Looked(filled(), b"", (VERSION,))))
    one.answer(Loaded(b"{}"))
    assert expect(one.answer(True), Outcome).source is Source.EXPIRED


def test_versions_are_those_from_before_the_load() -> None:
    one = Read()
    one.answer(NOTHING)
    one.answer(Acquired(True, Looked(None, b"", (VERSION,))))
    # An invalidation that comes now changes the tag to OTHER; the entry must keep VERSION, and so be worth nothing.
    entry = decode(expect(one.answer(Loaded(b"{}")), Store).entry)
    assert entry is not None
    assert entry.tag_versions == (VERSION,)


def test_tag_evicted_before_the_load_makes_an_entry_that_nothing_matches() -> None:
    one = Read()
    one.answer(NOTHING)
    one.answer(Acquired(True, Looked(None, b"", (None,))))
    store = expect(one.answer(Loaded(b"{}")), Store)
    for tag in (None, VERSION):
        expect(Read().answer(Looked(store.entry, None, (tag,))), Acquire)


def test_loser_of_the_lease_stores_nothing() -> None:
    one = Read()
    one.answer(NOTHING)
    expect(one.answer(Acquired(False, Looked(None, b"someone else", (VERSION,)))), Load)
    outcome = expect(one.answer(Loaded(b"{}")), Outcome)
    assert (outcome.source, outcome.stored) == (Source.MISS, False)


def test_entry_that_came_between_look_and_acquire_is_used_and_the_lease_given_back() -> None:
    one = Read()
    one.answer(NOTHING)
    expect(one.answer(Acquired(True, Looked(filled(), b"", (VERSION,)))), Release)
    assert expect(one.answer(None), Outcome).source is Source.HIT


def test_lost_lease_still_answers() -> None:
    one = Read()
    one.answer(NOTHING)
    one.answer(Acquired(True, Looked(None, b"", (VERSION,))))
    one.answer(Loaded(b"{}"))
    outcome = expect(one.answer(False), Outcome)
    assert (outcome.entry.body, outcome.stored, outcome.detail) == (b"{}", False, "lease-lost")


@pytest.mark.parametrize("steps_before", [0, 1])
def test_cache_that_fails_is_bypassed(steps_before: int) -> None:
    one = Read()
    for _ in range(steps_before):
        one.answer(NOTHING)
    expect(one.answer(CacheUnavailable()), Load)
    outcome = expect(one.answer(Loaded(b"{}")), Outcome)
    assert (outcome.source, outcome.detail) == (Source.BYPASS, "cache-unavailable")


def test_cache_that_fails_at_the_store_does_not_cost_the_answer() -> None:
    one = Read()
    one.answer(NOTHING)
    one.answer(Acquired(True, Looked(None, b"", (VERSION,))))
    one.answer(Loaded(b"{}"))
    outcome = expect(one.answer(CacheUnavailable()), Outcome)
    assert (outcome.source, outcome.stored, outcome.detail) == (Source.MISS, False, "cache-unavailable")


@pytest.mark.parametrize("release", [None, CacheUnavailable()])
def test_failed_load_gives_the_lease_back_and_fails(release: object) -> None:
    one = Read()
    one.answer(NOTHING)
    one.answer(Acquired(True, Looked(None, b"", (VERSION,))))
    expect(one.answer(DatabaseUnavailable("down")), Release)
    with pytest.raises(DatabaseUnavailable):
        one.answer(release)


def test_no_such_row_is_kept_for_its_own_shorter_time() -> None:
    one = Read()
    one.answer(NOTHING)
    one.answer(Acquired(True, Looked(None, b"", (VERSION,))))
    store = expect(one.answer(Loaded(None)), Store)
    entry = decode(store.entry)
    assert isinstance(entry, Entry)
    assert entry.body is None
    assert entry.ttl_ms(one.now_ms) == POLICY.negative_ttl_ms


def test_garbage_in_the_cache_is_a_miss() -> None:
    expect(Read().answer(Looked(b"garbage", None, (VERSION,))), Acquire)


def test_core_imports_no_driver() -> None:
    """What decides must not know how it is done."""
    library = Path(__file__).parents[2] / "layers" / "cacheaside" / "cacheaside"
    core = ["read_path", "steps", "outcome", "entry", "keys", "policy", "tags", "parameters", "catalogue", "sql_file"]
    for module in core:
        source = (library / f"{module}.py").read_text()
        assert not any(name in source for name in ("import redis", "psycopg2", "boto", "aws_lambda_powertools")), module

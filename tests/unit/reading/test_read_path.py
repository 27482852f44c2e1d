"""The read path, one step at a time: what is asked of the cache and the database, and what is made of the answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cacheaside.errors import CacheUnavailable, DatabaseUnavailable
from cacheaside.reading.entry import Entry, decode, encode
from cacheaside.reading.outcome import Outcome, Source
from cacheaside.reading.steps import Acquire, Acquired, Load, Loaded, Look, Looked, Release, Store
from tests.unit.support.one_read import NOTHING, OTHER, POLICY, START_MS, VERSION, Read, expect, filled


def test_cold_read_loads_once_and_stores_under_its_lease() -> None:
    one = Read()
    expect(one.step, Look)
    acquire = expect(one.answer(NOTHING), Acquire)
    expect(one.answer(Acquired(True, Looked(None, acquire.token, (VERSION,)))), Load)
    one.now_ms += 250
    store = expect(one.answer(Loaded(b"{}")), Store)
    outcome = expect(one.answer(True), Outcome)
    assert store.token == acquire.token
    assert store.lifetime_ms == POLICY.ttl_ms + POLICY.stale_if_error_ms
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
    one = Read(START_MS + 70_000)
    one.answer(Looked(filled(), None, (VERSION,)))
    one.answer(Acquired(True, Looked(filled(), b"", (VERSION,))))
    one.answer(Loaded(b"{}"))
    assert expect(one.answer(True), Outcome).source is Source.EXPIRED


def test_stale_entry_is_served_at_once_and_one_request_is_elected_to_refresh_it() -> None:
    one = Read(START_MS + 60_000)
    acquire = expect(one.answer(Looked(filled(), None, (VERSION,))), Acquire)
    outcome = expect(one.answer(Acquired(True, Looked(filled(), acquire.token, (VERSION,)))), Outcome)
    assert outcome.source is Source.STALE
    load = expect(next(outcome.refresh), Load)
    assert load.bypass is False
    store = expect(outcome.refresh.send(Loaded(b"{}")), Store)
    assert store.token == acquire.token
    with pytest.raises(StopIteration) as done:
        outcome.refresh.send(True)
    assert done.value.value is True


def test_stale_entry_that_somebody_refreshes_takes_one_round_trip() -> None:
    outcome = expect(Read(START_MS + 60_000).answer(Looked(filled(), b"x" * 16, (VERSION,))), Outcome)
    assert (outcome.source, outcome.refresh) == (Source.STALE, None)


def test_refresh_that_fails_leaves_the_lease_to_its_end() -> None:
    one = Read(START_MS + 60_000)
    acquire = expect(one.answer(Looked(filled(), None, (VERSION,))), Acquire)
    refresh = expect(one.answer(Acquired(True, Looked(filled(), acquire.token, (VERSION,)))), Outcome).refresh
    next(refresh)
    with pytest.raises(DatabaseUnavailable):
        refresh.throw(DatabaseUnavailable("down"))


def test_cache_that_fails_at_the_election_does_not_cost_the_answer() -> None:
    one = Read(START_MS + 60_000)
    one.answer(Looked(filled(), None, (VERSION,)))
    outcome = expect(one.answer(CacheUnavailable()), Outcome)
    assert (outcome.source, outcome.refresh) == (Source.STALE, None)


def test_early_refresh_elects_few_long_before_the_end_and_all_at_it() -> None:
    entry = replace(decode(filled()), load_ms=5_000)
    looked = Looked(encode(entry), None, (VERSION,))
    assert isinstance(Read(START_MS + 10_000, early_refresh=1.0, chance=0.5).answer(looked), Outcome)
    assert isinstance(Read(START_MS + 59_000, early_refresh=1.0, chance=0.5).answer(looked), Acquire)
    assert isinstance(Read(START_MS + 59_000, early_refresh=0.0, chance=0.5).answer(looked), Outcome)


def test_failed_load_serves_what_is_past_its_time_and_keeps_the_lease_as_throttle() -> None:
    one = Read(START_MS + 80_000)
    one.answer(Looked(filled(), None, (VERSION,)))
    one.answer(Acquired(True, Looked(filled(), b"", (VERSION,))))
    outcome = expect(one.answer(DatabaseUnavailable("down")), Outcome)
    assert (outcome.source, outcome.detail) == (Source.STALE_IF_ERROR, "stale-if-error")


def test_failed_load_never_serves_what_was_taken_out() -> None:
    one = Read(START_MS + 80_000)
    one.answer(Looked(filled(), None, (OTHER,)))
    one.answer(Acquired(True, Looked(filled(), b"", (OTHER,))))
    expect(one.answer(DatabaseUnavailable("down")), Release)


def test_failed_load_past_the_cache_serves_what_was_seen_before_the_cache_failed() -> None:
    one = Read(START_MS + 80_000)
    one.answer(Looked(filled(), None, (VERSION,)))
    expect(one.answer(CacheUnavailable()), Load)
    assert expect(one.answer(DatabaseUnavailable("down")), Outcome).source is Source.STALE_IF_ERROR


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


def test_lease_and_load_end_before_the_runtime_does() -> None:
    one = Read(time_left_ms=7_000)
    acquire = expect(one.answer(NOTHING), Acquire)
    load = expect(one.answer(Acquired(True, Looked(None, acquire.token, (VERSION,)))), Load)
    assert load.timeout_ms == 5_000
    assert load.timeout_ms < acquire.lease_ms <= 7_000


def test_load_past_the_cache_is_marked_as_one_of_many() -> None:
    assert expect(Read().answer(CacheUnavailable()), Load).bypass is True


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

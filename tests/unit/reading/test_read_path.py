"""The read path, one step at a time: the steps that it yields, and its decisions from their results."""

from __future__ import annotations

import pytest

from cacheaside.catalogue.policy import LEASE_MS, LONGEST_LOAD_MS
from cacheaside.errors import CacheUnavailable, DatabaseUnavailable, Unprocessable
from cacheaside.reading.entry import Encoding, Entry, decode, encode
from cacheaside.reading.outcome import Outcome, Source
from cacheaside.reading.steps import Acquire, Acquired, Load, Loaded, Look, Looked, Release, Renew, Store
from tests.unit.support.one_read import NOTHING, OTHER_VERSION, POLICY, START_MS, VERSION, Read, expect, stored_entry


def test_cold_read_loads_once_and_stores_under_its_lease() -> None:
    read = Read()
    expect(read.step, Look)
    acquire = expect(read.answer(NOTHING), Acquire)
    expect(read.answer(Acquired(True, Looked(None, acquire.token, (VERSION,)))), Load)
    read.now_ms += 250
    store = expect(read.answer(Loaded(b"{}")), Store)
    outcome = expect(read.answer(True), Outcome)
    assert store.token == acquire.token
    assert store.lifetime_ms == POLICY.ttl_ms + POLICY.stale_if_error_ms
    assert (outcome.source, outcome.stored, outcome.entry.load_ms) == (Source.MISS, True, 250)


def test_age_counts_from_before_the_load() -> None:
    read = Read()
    read.answer(NOTHING)
    read.answer(Acquired(True, Looked(None, b"", (VERSION,))))
    read.now_ms += 5_000
    entry = decode(expect(read.answer(Loaded(b"{}")), Store).entry)
    assert entry is not None
    assert entry.age_ms(read.now_ms) == 5_000


def test_fresh_entry_is_a_hit_in_one_round_trip() -> None:
    read = Read(1_059_999)
    outcome = expect(read.answer(Looked(stored_entry(), None, (VERSION,))), Outcome)
    assert (outcome.source, outcome.entry.body) == (Source.HIT, b"{}")


def test_entry_that_is_fresh_for_as_long_as_any_is_a_hit() -> None:
    assert expect(Read(jitter=0.5).answer(Looked(stored_entry(), None, (VERSION,))), Outcome).source is Source.HIT


@pytest.mark.parametrize(("ahead_ms", "kind"), [(60_000, Outcome), (60_001, Acquire)])
def test_entry_of_a_clock_that_is_a_minute_ahead_is_used(ahead_ms: int, kind: type) -> None:
    expect(Read(START_MS - ahead_ms).answer(Looked(stored_entry(), None, (VERSION,))), kind)


@pytest.mark.parametrize("tag", [None, OTHER_VERSION, b"short"])
def test_changed_or_missing_tag_is_a_miss(tag: bytes | None) -> None:
    expect(Read().answer(Looked(stored_entry(), None, (tag,))), Acquire)


def test_expired_entry_is_reloaded() -> None:
    read = Read(START_MS + 70_000)
    read.answer(Looked(stored_entry(), None, (VERSION,)))
    read.answer(Acquired(True, Looked(stored_entry(), b"", (VERSION,))))
    read.answer(Loaded(b"{}"))
    assert expect(read.answer(True), Outcome).source is Source.EXPIRED


def test_stale_entry_is_served_at_once_and_one_request_is_elected_to_refresh_it() -> None:
    read = Read(START_MS + 60_000)
    acquire = expect(read.answer(Looked(stored_entry(), None, (VERSION,))), Acquire)
    outcome = expect(read.answer(Acquired(True, Looked(stored_entry(), acquire.token, (VERSION,)))), Outcome)
    assert outcome.source is Source.STALE
    load = expect(next(outcome.refresh.path), Load)
    assert load.bypass is False
    store = expect(outcome.refresh.path.send(Loaded(b"{}")), Store)
    assert store.token == acquire.token == outcome.refresh.release.token
    with pytest.raises(StopIteration) as done:
        outcome.refresh.path.send(True)
    assert done.value.value is True


def test_stale_entry_that_another_request_refreshes_takes_one_round_trip() -> None:
    outcome = expect(Read(START_MS + 60_000).answer(Looked(stored_entry(), b"x" * 16, (VERSION,))), Outcome)
    assert (outcome.source, outcome.refresh) == (Source.STALE, None)


def test_lease_that_never_ends_does_not_keep_an_answer_stale() -> None:
    read = Read(START_MS + 60_000 + LONGEST_LOAD_MS + LEASE_MS, stale_ms=600_000)
    expect(read.answer(Looked(stored_entry(), b"x" * 16, (VERSION,))), Acquire)


def test_cache_that_fails_at_the_election_does_not_fail_the_read() -> None:
    read = Read(START_MS + 60_000)
    read.answer(Looked(stored_entry(), None, (VERSION,)))
    expect(read.answer(CacheUnavailable()), Release)
    outcome = expect(read.answer(None), Outcome)
    assert (outcome.source, outcome.refresh) == (Source.STALE, None)


def test_early_refresh_becomes_likelier_towards_the_end_of_freshness() -> None:
    entry = decode(stored_entry())._replace(load_ms=5_000)
    looked = Looked(encode(entry), None, (VERSION,))
    assert isinstance(Read(START_MS + 10_000, early_refresh=1.0, chance=0.5).answer(looked), Outcome)
    assert isinstance(Read(START_MS + 59_000, early_refresh=1.0, chance=0.5).answer(looked), Acquire)
    assert isinstance(Read(START_MS + 59_000, early_refresh=0.0, chance=0.5).answer(looked), Outcome)


def test_fresh_answer_that_is_refreshed_early_is_a_hit() -> None:
    looked = Looked(encode(decode(stored_entry())._replace(load_ms=5_000)), None, (VERSION,))
    read = Read(START_MS + 59_000, early_refresh=1.0, chance=0.5)
    acquire = expect(read.answer(looked), Acquire)
    outcome = expect(read.answer(Acquired(True, looked._replace(lease=acquire.token))), Outcome)
    assert (outcome.source, outcome.entry.body) == (Source.HIT, b"{}")
    assert outcome.refresh.release == Release(acquire.keys, acquire.token)


def test_fresh_answer_that_another_request_refreshes_early_is_a_hit_in_one_round_trip() -> None:
    looked = Looked(encode(decode(stored_entry())._replace(load_ms=5_000)), b"x" * 16, (VERSION,))
    outcome = expect(Read(START_MS + 59_000, early_refresh=1.0, chance=0.5).answer(looked), Outcome)
    assert (outcome.source, outcome.refresh) == (Source.HIT, None)


def test_request_that_is_not_elected_serves_the_stale_answer_and_gives_no_lease_back() -> None:
    read = Read(START_MS + 60_000)
    read.answer(Looked(stored_entry(), None, (VERSION,)))
    outcome = expect(read.answer(Acquired(False, Looked(stored_entry(), b"x" * 16, (VERSION,)))), Outcome)
    assert (outcome.source, outcome.refresh) == (Source.STALE, None)


def test_answer_that_another_request_has_refreshed_meanwhile_is_not_refreshed_again() -> None:
    read = Read(START_MS + 60_000)
    acquire = expect(read.answer(Looked(stored_entry(), None, (VERSION,))), Acquire)
    newer = encode(decode(stored_entry())._replace(token=b"n" * 16))
    release = expect(read.answer(Acquired(True, Looked(newer, acquire.token, (VERSION,)))), Release)
    assert (release.token, release.failure) == (acquire.token, None)
    outcome = expect(read.answer(None), Outcome)
    assert (outcome.source, outcome.refresh) == (Source.STALE, None)


@pytest.mark.parametrize(("result", "source"), [(Loaded(b"{}"), Source.EXPIRED), (DatabaseUnavailable("down"), None)])
def test_answer_past_all_its_times_is_loaded_again_and_never_served(result: object, source: Source | None) -> None:
    read = Read(START_MS + 90_000)
    acquire = expect(read.answer(Looked(stored_entry(), None, (VERSION,))), Acquire)
    expect(read.answer(Acquired(True, Looked(stored_entry(), acquire.token, (VERSION,)))), Load)
    if source is not None:
        expect(read.answer(result), Store)
        assert expect(read.answer(True), Outcome).source is source
    else:
        expect(read.answer(result), Release)
        with pytest.raises(DatabaseUnavailable):
            read.answer(None)


def test_failed_load_serves_the_last_resort() -> None:
    read = Read(START_MS + 80_000)
    read.answer(Looked(stored_entry(), None, (VERSION,)))
    read.answer(Acquired(True, Looked(stored_entry(), b"", (VERSION,))))
    expect(read.answer(DatabaseUnavailable("down")), Release)
    outcome = expect(read.answer(None), Outcome)
    assert (outcome.source, outcome.detail) == (Source.STALE_IF_ERROR, "stale-if-error")


def test_failed_load_never_serves_an_invalidated_entry() -> None:
    read = Read(START_MS + 80_000)
    read.answer(Looked(stored_entry(), None, (OTHER_VERSION,)))
    read.answer(Acquired(True, Looked(stored_entry(), b"", (OTHER_VERSION,))))
    expect(read.answer(DatabaseUnavailable("down")), Release)


def test_failed_load_of_a_bypass_serves_the_entry_seen_before_the_cache_failed() -> None:
    read = Read(START_MS + 80_000)
    read.answer(Looked(stored_entry(), None, (VERSION,)))
    expect(read.answer(CacheUnavailable()), Release)
    expect(read.answer(CacheUnavailable()), Load)
    assert expect(read.answer(DatabaseUnavailable("down")), Outcome).source is Source.STALE_IF_ERROR


def test_entry_embeds_the_tag_versions_from_before_the_load() -> None:
    read = Read()
    read.answer(NOTHING)
    read.answer(Acquired(True, Looked(None, b"", (VERSION,))))
    # An invalidation now changes the tag to OTHER_VERSION. The entry must keep VERSION, so that it does not match.
    entry = decode(expect(read.answer(Loaded(b"{}")), Store).entry)
    assert entry is not None
    assert entry.tag_versions == (VERSION,)


def test_tag_evicted_before_the_load_makes_an_entry_that_nothing_matches() -> None:
    read = Read()
    read.answer(NOTHING)
    read.answer(Acquired(True, Looked(None, b"", (None,))))
    store = expect(read.answer(Loaded(b"{}")), Store)
    for tag in (None, VERSION):
        expect(Read().answer(Looked(store.entry, None, (tag,))), Acquire)


def test_load_ends_before_the_runtime_does_and_renews_its_lease_until_then() -> None:
    read = Read(time_left_ms=7_000)
    acquire = expect(read.answer(NOTHING), Acquire)
    load = expect(read.answer(Acquired(True, Looked(None, acquire.token, (VERSION,)))), Load)
    assert load.timeout_ms == 5_000
    assert load.renew == Renew(acquire.keys, acquire.token)


def test_load_has_a_millisecond_at_least() -> None:
    assert expect(Read(time_left_ms=100).answer(CacheUnavailable()), Load).timeout_ms == 1


@pytest.mark.parametrize(("compress", "encoding"), [(True, Encoding.GZIP), (False, Encoding.IDENTITY)])
def test_large_answer_is_stored_compressed_unless_its_query_says_no(compress: bool, encoding: Encoding) -> None:
    read = Read(compress=compress)
    read.answer(NOTHING)
    read.answer(Acquired(True, Looked(None, b"", (VERSION,))))
    entry = decode(expect(read.answer(Loaded(b"[" + b"1," * 5_000 + b"1]")), Store).entry)
    assert entry is not None
    assert entry.encoding is encoding


def test_load_that_bypasses_the_cache_is_marked_so_and_renews_nothing() -> None:
    load = expect(Read().answer(CacheUnavailable()), Load)
    assert (load.bypass, load.renew) == (True, None)


def test_entry_stored_between_look_and_acquire_is_used_and_the_lease_released() -> None:
    read = Read()
    acquire = expect(read.answer(NOTHING), Acquire)
    released = expect(read.answer(Acquired(True, Looked(stored_entry(), b"", (VERSION,)))), Release)
    assert released.token == acquire.token
    assert expect(read.answer(None), Outcome).source is Source.HIT


def test_refused_store_does_not_fail_the_read() -> None:
    read = Read()
    read.answer(NOTHING)
    read.answer(Acquired(True, Looked(None, b"", (VERSION,))))
    read.answer(Loaded(b"{}"))
    outcome = expect(read.answer(False), Outcome)
    assert (outcome.entry.body, outcome.stored, outcome.detail) == (b"{}", False, "lease-lost")


def test_cache_that_fails_is_bypassed() -> None:
    read = Read()
    expect(read.answer(CacheUnavailable()), Load)
    outcome = expect(read.answer(Loaded(b"{}")), Outcome)
    assert (outcome.source, outcome.detail) == (Source.BYPASS, "cache-unavailable")


@pytest.mark.parametrize(
    ("after_ms", "source"), [(0, Source.HIT), (60_000, Source.STALE), (80_000, Source.STALE_IF_ERROR)]
)
def test_cache_that_fails_is_asked_once_more_if_postgresql_fails_too(after_ms: int, source: Source) -> None:
    read = Read(START_MS + after_ms)
    read.answer(CacheUnavailable())
    assert expect(read.answer(DatabaseUnavailable()), Look).is_last_chance
    assert expect(read.answer(Looked(stored_entry(), None, (VERSION,))), Outcome).source is source


@pytest.mark.parametrize(
    ("after_ms", "looked"),
    [
        (0, CacheUnavailable()),
        (0, NOTHING),
        (0, Looked(stored_entry(), None, (OTHER_VERSION,))),
        (95_000, Looked(stored_entry(), None, (VERSION,))),
    ],
)
def test_read_whose_last_chance_is_no_answer_fails_as_its_load_did(after_ms: int, looked: object) -> None:
    read = Read(START_MS + after_ms)
    read.answer(CacheUnavailable())
    failed = DatabaseUnavailable("no")
    failed.__cause__ = reason = OSError("what the log is to have")
    read.answer(failed)
    with pytest.raises(DatabaseUnavailable, match="no") as raised:
        read.answer(looked)
    assert raised.value.__cause__ is reason


def test_value_that_has_no_result_is_not_looked_for_again() -> None:
    read = Read()
    read.answer(CacheUnavailable())
    with pytest.raises(Unprocessable):
        read.answer(Unprocessable("division by zero"))


@pytest.mark.parametrize("release", [None, CacheUnavailable()])
def test_lease_whose_acquiring_got_no_reply_is_released_before_the_load(release: object) -> None:
    read = Read()
    acquire = expect(read.answer(NOTHING), Acquire)
    assert expect(read.answer(CacheUnavailable()), Release).token == acquire.token
    assert expect(read.answer(release), Load).bypass is True
    assert expect(read.answer(Loaded(b"{}")), Outcome).source is Source.BYPASS


@pytest.mark.parametrize("release", [None, CacheUnavailable()])
def test_cache_that_fails_at_the_store_does_not_fail_the_read_nor_keep_its_lease(release: object) -> None:
    read = Read()
    acquire = expect(read.answer(NOTHING), Acquire)
    read.answer(Acquired(True, Looked(None, b"", (VERSION,))))
    read.answer(Loaded(b"{}"))
    assert expect(read.answer(CacheUnavailable()), Release).token == acquire.token
    outcome = expect(read.answer(release), Outcome)
    assert (outcome.source, outcome.stored, outcome.detail) == (Source.MISS, False, "cache-unavailable")


@pytest.mark.parametrize("release", [None, CacheUnavailable()])
def test_failed_load_releases_the_lease_and_raises(release: object) -> None:
    read = Read()
    read.answer(NOTHING)
    read.answer(Acquired(True, Looked(None, b"", (VERSION,))))
    expect(read.answer(DatabaseUnavailable("down")), Release)
    with pytest.raises(DatabaseUnavailable):
        read.answer(release)


def test_answer_without_a_row_is_fresh_for_the_negative_ttl() -> None:
    read = Read()
    read.answer(NOTHING)
    read.answer(Acquired(True, Looked(None, b"", (VERSION,))))
    store = expect(read.answer(Loaded(None)), Store)
    entry = decode(store.entry)
    assert isinstance(entry, Entry)
    assert entry.body is None
    assert entry.ttl_ms(read.now_ms) == POLICY.negative_ttl_ms


def test_garbage_in_the_cache_is_a_miss() -> None:
    expect(Read().answer(Looked(b"garbage", None, (VERSION,))), Acquire)

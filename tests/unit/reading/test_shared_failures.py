"""A load that fails: those who wait for it, and those who come right after, share its failure and do not try."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside.catalogue.policy import FAILURE_MS
from cacheaside.errors import (
    AnswerTooLarge,
    Busy,
    CacheUnavailable,
    DatabaseError,
    DatabaseSilent,
    DatabaseUnavailable,
    EntryTooLarge,
    RefusedForNow,
    StatementFailed,
    StatementTimeout,
    Unprocessable,
)
from cacheaside.reading.failure import Failure, decode_failure, encode_failure
from cacheaside.reading.outcome import Outcome, Source
from cacheaside.reading.steps import Acquire, Acquired, Load, Loaded, Look, Looked, Release, Wait
from tests.unit.support.one_read import NOTHING, OTHER_VERSION, START_MS, VERSION, Read, expect, stored_entry

SHARED = [
    DatabaseSilent("no reply"),
    StatementTimeout("the statement ran into its timeout"),
    Busy("conflict"),
    RefusedForNow("disk full", 60),
    Unprocessable("too small", ["price"]),
    StatementFailed("refused"),
    AnswerTooLarge("8,000,000 bytes"),
]
LEASE = b"x" * 16


def left_by(error: DatabaseError, at_ms: int = START_MS, took_ms: int = FAILURE_MS) -> Any:
    """Return the value that a read leaves in place of its lease when its load fails after `took_ms`."""
    read = Read(at_ms)
    acquire = expect(read.answer(NOTHING), Acquire)
    expect(read.answer(Acquired(True, Looked(None, acquire.token, (VERSION,)))), Load)
    read.now_ms += took_ms
    release = expect(read.answer(error), Release)
    assert release.token == acquire.token
    with pytest.raises(type(error)):
        read.answer(None)
    return release.failure


@pytest.mark.parametrize("error", SHARED, ids=lambda error: type(error).__name__)
def test_next_request_gets_the_same_error_without_a_load(error: DatabaseError) -> None:
    with pytest.raises(type(error)) as raised:
        Read().answer(Looked(None, left_by(error), (VERSION,)))
    assert (str(raised.value), vars(raised.value)) == (str(error), vars(error))


def test_waiter_gets_the_error_of_the_load_that_it_waited_for() -> None:
    read = Read()
    read.answer(NOTHING)
    expect(read.answer(Acquired(False, Looked(None, LEASE, (VERSION,)))), Wait)
    expect(read.answer(None), Look)
    with pytest.raises(StatementTimeout):
        read.answer(Looked(None, left_by(SHARED[1]), (VERSION,)))


def test_invalidation_makes_the_next_request_try() -> None:
    expect(Read().answer(Looked(None, left_by(SHARED[1]), (OTHER_VERSION,))), Acquire)


def test_waiter_shares_a_failure_whose_load_began_after_it_even_if_its_tags_have_changed() -> None:
    """Or each of many waiters would run into the timeout, one after the other, while others write."""
    read = Read()
    read.answer(Looked(None, LEASE, (VERSION,)))
    expect(read.answer(Acquired(False, Looked(None, LEASE, (VERSION,)))), Wait)
    read.answer(None)
    with pytest.raises(StatementTimeout):
        read.answer(Looked(None, left_by(SHARED[1]), (OTHER_VERSION,)))


def test_waiter_takes_the_answer_of_one_load_although_the_next_load_has_failed() -> None:
    read = Read()
    read.answer(NOTHING)
    expect(read.answer(Acquired(False, Looked(None, LEASE, (VERSION,)))), Wait)
    read.answer(None)
    outcome = expect(read.answer(Looked(stored_entry(), left_by(SHARED[1]), (VERSION,))), Outcome)
    assert outcome.source is Source.COLLAPSED


def test_waiter_does_not_share_a_failure_that_began_before_it_and_was_invalidated() -> None:
    left = left_by(SHARED[1])
    read = Read()
    acquire = expect(read.answer(Looked(None, left, (OTHER_VERSION,))), Acquire)
    expect(read.answer(Acquired(True, Looked(None, acquire.token, (OTHER_VERSION,)))), Load)


def test_connection_that_is_refused_at_once_is_not_shared() -> None:
    assert left_by(DatabaseUnavailable("refused"), took_ms=10) is None


def test_connection_that_is_lost_late_is_shared() -> None:
    """Such as by a query that takes too much memory: each who tries it would crash PostgreSQL again."""
    assert left_by(DatabaseUnavailable("lost")) is not None


def test_error_of_a_callers_value_that_comes_at_once_is_not_shared() -> None:
    assert left_by(Unprocessable("out of range"), took_ms=10) is None
    assert left_by(StatementFailed("refused"), took_ms=10) is not None


def test_request_with_little_time_left_does_not_speak_for_those_with_more() -> None:
    read = Read(time_left_ms=7_000)
    acquire = expect(read.answer(NOTHING), Acquire)
    expect(read.answer(Acquired(True, Looked(None, acquire.token, (VERSION,)))), Load)
    assert expect(read.answer(StatementTimeout("after 5 s of 10")), Release).failure is None


def test_failure_of_another_question_counts_for_nothing() -> None:
    other = Failure(SHARED[1], LEASE, (VERSION,), b"q" * 16)
    expect(Read().answer(Looked(None, encode_failure(other, START_MS), (VERSION,))), Acquire)


@pytest.mark.parametrize("later_ms", [-86_400_000, 86_400_000], ids=["from tomorrow", "of yesterday"])
def test_failure_that_is_not_of_this_moment_counts_for_nothing(later_ms: int) -> None:
    expect(Read(START_MS + later_ms).answer(Looked(None, left_by(SHARED[1]), (VERSION,))), Acquire)


def test_failure_lasts_as_long_as_clocks_may_differ() -> None:
    left, until_ms = left_by(SHARED[1]), START_MS + FAILURE_MS + FAILURE_MS + 60_000
    assert decode_failure(left, question_of(left), until_ms) is not None
    assert decode_failure(left, question_of(left), until_ms + 1) is None


def test_expired_answer_is_served_while_the_failure_is_shared() -> None:
    read = Read(START_MS + 80_000)
    left = left_by(SHARED[1], START_MS + 80_000 - FAILURE_MS // 2)
    outcome = expect(read.answer(Looked(stored_entry(), left, (VERSION,))), Outcome)
    assert (outcome.source, outcome.detail) == (Source.STALE_IF_ERROR, "stale-if-error")


def test_stale_answer_is_not_refreshed_while_the_failure_is_shared() -> None:
    read = Read(START_MS + 60_000)
    left = left_by(SHARED[1], START_MS + 60_000)
    outcome = expect(read.answer(Looked(stored_entry(), left, (VERSION,))), Outcome)
    assert (outcome.source, outcome.refresh) == (Source.STALE, None)


def test_refresh_whose_load_failed_leaves_its_failure() -> None:
    read = Read(START_MS + 60_000)
    acquire = expect(read.answer(Looked(stored_entry(), None, (VERSION,))), Acquire)
    refresh = expect(read.answer(Acquired(True, Looked(stored_entry(), acquire.token, (VERSION,)))), Outcome).refresh
    next(refresh.path)
    release = expect(refresh.path.throw(DatabaseUnavailable("refused")), Release)  # no caller waits for a refresh
    assert (release.token, release.failure is not None) == (acquire.token, True)
    with pytest.raises(DatabaseUnavailable):
        refresh.path.throw(CacheUnavailable("no reply"))


def test_waiter_loads_for_itself_when_the_answer_does_not_fit_into_the_cache() -> None:
    holder, waiter = Read(), Read()
    for read in (holder, waiter):
        read.answer(NOTHING)
    holder.answer(Acquired(True, Looked(None, LEASE, (VERSION,))))
    expect(waiter.answer(Acquired(False, Looked(None, LEASE, (VERSION,)))), Wait)
    holder.answer(Loaded(b"{}"))
    left = expect(holder.answer(EntryTooLarge("5 MB")), Release).failure
    assert expect(holder.answer(None), Outcome).entry.body == b"{}"
    waiter.answer(None)
    assert expect(waiter.answer(Looked(None, left, (VERSION,))), Load).bypass is True


@given(st.binary(max_size=200) | st.from_regex(r"\[.{0,80}\]").map(str.encode))
def test_other_bytes_are_no_failure(data: bytes) -> None:
    assert decode_failure(data, b"q" * 16, START_MS) is None


@pytest.mark.parametrize("cut", range(1, 200, 7))
def test_bytes_that_are_cut_off_are_no_failure(cut: int) -> None:
    left = left_by(SHARED[1])
    expect(Read().answer(Looked(None, left[:-cut], (VERSION,))), Acquire)


def test_value_larger_than_any_failure_is_not_even_parsed() -> None:
    left = left_by(SHARED[1])
    assert decode_failure(left.ljust(65_536), question_of(left), START_MS) is not None
    assert decode_failure(left.ljust(65_537), question_of(left), START_MS) is None


def test_token_of_another_length_is_no_failure() -> None:
    left = left_by(SHARED[1])
    for key in json.loads(left)[-2:]:  # the token of its lease, and the version of its tag
        assert decode_failure(left.replace(key.encode(), key[2:].encode()), question_of(left), START_MS) is None


def question_of(left: bytes) -> bytes:
    return bytes.fromhex(json.loads(left)[4])

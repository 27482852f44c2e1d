"""A caller with many values fills the cache only as far as the limit on new answers allows."""

from __future__ import annotations

import pytest

from cacheaside.catalogue.policy import BRIEFLY_MS, LONGEST_LOAD_MS
from cacheaside.reading.outcome import NO_ROOM, Outcome, Source
from cacheaside.reading.steps import Acquire, Acquired, Admission, Loaded, Looked, Store, Wait
from tests.unit.support.one_read import NOTHING, OTHER_VERSION, POLICY, START_MS, VERSION, Read, expect, stored_entry

LIFETIME_MS = POLICY.ttl_ms + POLICY.stale_if_error_ms


def fill(read: Read, looked: Looked, *, admitted: bool) -> tuple[Acquire, Store, Outcome]:
    acquire = expect(read.answer(looked), Acquire)
    tags = tuple(version or VERSION for version in looked.tags)
    read.answer(Acquired(True, looked._replace(lease=acquire.token, tags=tags), admitted))
    store = expect(read.answer(Loaded(b"{}")), Store)
    return acquire, store, expect(read.answer(True), Outcome)


@pytest.mark.parametrize("new_answers", [900, 7, LIFETIME_MS * 1_000 * 2])
def test_new_answer_asks_for_room_at_the_rate_of_its_query(new_answers: int) -> None:
    acquire, _, _ = fill(Read(new_answers=new_answers), NOTHING, admitted=True)
    lifetime_us = LIFETIME_MS * 1_000
    assert acquire.admission == Admission("cacheaside:new:product", max(1, lifetime_us // new_answers), lifetime_us)


def test_new_answer_with_room_is_kept_and_so_are_its_tags() -> None:
    acquire, store, outcome = fill(Read(), NOTHING, admitted=True)
    assert (store.lifetime_ms, store.tag_ms) == (LIFETIME_MS, POLICY.tag_ms)
    assert acquire.tag_ms == 2 * BRIEFLY_MS + LONGEST_LOAD_MS
    assert (outcome.source, outcome.stored, outcome.detail) == (Source.MISS, True, None)


def test_new_answer_without_room_is_given_and_kept_only_for_those_who_wait() -> None:
    acquire, store, outcome = fill(Read(), NOTHING, admitted=False)
    assert (store.lifetime_ms, store.tag_ms) == (BRIEFLY_MS, 0)
    assert acquire.tag_ms < POLICY.tag_ms
    assert (outcome.source, outcome.stored, outcome.detail) == (Source.MISS, False, NO_ROOM)
    assert outcome.entry.body == b"{}"


def test_answer_that_replaces_an_entry_needs_no_room() -> None:
    invalidated = Looked(stored_entry(), None, (OTHER_VERSION,))
    acquire, store, outcome = fill(Read(), invalidated, admitted=True)
    assert acquire.admission is None
    assert (acquire.tag_ms, store.lifetime_ms, store.tag_ms) == (POLICY.tag_ms, LIFETIME_MS, 0)
    assert outcome.stored


def test_answer_that_replaces_one_without_room_asks_for_room() -> None:
    brief = fill(Read(), NOTHING, admitted=False)[1].entry
    acquire, store, outcome = fill(Read(), Looked(brief, None, (OTHER_VERSION,)), admitted=False)
    assert acquire.admission is not None
    assert (store.lifetime_ms, store.tag_ms, outcome.detail) == (BRIEFLY_MS, 0, NO_ROOM)


def test_answer_that_replaces_one_without_room_is_kept_if_there_is_room_now() -> None:
    brief = fill(Read(), NOTHING, admitted=False)[1].entry
    _, store, outcome = fill(Read(), Looked(brief, None, (OTHER_VERSION,)), admitted=True)
    assert (store.lifetime_ms, store.tag_ms, outcome.stored) == (LIFETIME_MS, POLICY.tag_ms, True)
    next_acquire = expect(Read().answer(Looked(store.entry, None, (VERSION,))), Acquire)
    assert next_acquire.admission is None


def test_refresh_of_an_answer_without_room_keeps_it_briefly_if_there_is_still_none() -> None:
    brief = fill(Read(), NOTHING, admitted=False)[1].entry
    read = Read(START_MS + POLICY.ttl_ms)
    acquire = expect(read.answer(Looked(brief, None, (VERSION,))), Acquire)
    refresh = expect(read.answer(Acquired(True, Looked(brief, acquire.token, (VERSION,)), False)), Outcome).refresh
    next(refresh.path)
    store = expect(refresh.path.send(Loaded(b"{}")), Store)
    assert (acquire.admission is None, store.lifetime_ms) == (False, BRIEFLY_MS)


def test_value_that_is_no_lease_does_not_stand_for_room() -> None:
    foreign = Looked(None, b"no lease", (VERSION,))
    assert expect(Read().answer(foreign), Acquire).admission is not None


def test_those_who_wait_take_no_room() -> None:
    held = Looked(None, b"h" * 16, (VERSION,))
    read = Read()
    assert expect(read.answer(held), Acquire).admission is None
    expect(read.answer(Acquired(False, held)), Wait)


@pytest.mark.parametrize("ttl_ms", [1, 500])
def test_answer_without_room_lives_no_longer_than_one_with_room(ttl_ms: int) -> None:
    read = Read(ttl_ms=ttl_ms, stale_ms=0, stale_if_error_ms=0)
    _, store, _ = fill(read, NOTHING, admitted=False)
    assert store.lifetime_ms <= ttl_ms + BRIEFLY_MS

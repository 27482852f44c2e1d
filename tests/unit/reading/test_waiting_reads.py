"""A read that finds another one loading: it waits for the entry of the other, or loads in its place."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from cacheaside.catalogue.policy import WaitedOut
from cacheaside.errors import DatabaseUnavailable, WaitedTooLong
from cacheaside.reading.entry import decode
from cacheaside.reading.outcome import Outcome, Source
from cacheaside.reading.steps import Acquire, Acquired, Load, Loaded, Look, Looked, Wait
from tests.unit.support.one_read import NOTHING, OTHER_VERSION, START_MS, VERSION, Read, expect, stored_entry

LEASE = b"x" * 16


def waiting(**rules: Any) -> Read:
    """Return a read that lost the lease to another, and waits."""
    read = Read(**rules)
    read.answer(NOTHING)
    expect(read.answer(Acquired(False, Looked(None, LEASE, (VERSION,)))), Wait)
    return read


def pauses_of(read: Read) -> list[int]:
    """Return the pauses of a read until it gives up, because the lease stays held."""
    pauses = []
    with suppress(WaitedTooLong):
        while True:
            pauses.append(expect(read.step, Wait).ms)
            read.now_ms += pauses[-1]
            read.answer(None)
            read.answer(Looked(None, LEASE, (VERSION,)))
    return pauses


def test_lease_that_never_ends_is_not_waited_for() -> None:
    """A look cannot tell, so the read asks Acquire once for each lease that it sees."""
    read = Read()
    expect(read.answer(Looked(None, LEASE, (None,))), Acquire)
    expect(read.answer(Acquired(False, Looked(None, LEASE, (VERSION,)))), Wait)
    read.answer(None)
    expect(read.answer(Looked(None, LEASE, (VERSION,))), Wait)
    read.answer(None)
    expect(read.answer(Looked(None, b"y" * 16, (VERSION,))), Acquire)


def test_waiter_returns_the_entry_that_the_holder_stored() -> None:
    read = waiting()
    expect(read.answer(None), Look)
    outcome = expect(read.answer(Looked(stored_entry(), None, (VERSION,))), Outcome)
    assert (outcome.source, outcome.entry.body) == (Source.COLLAPSED, b"{}")


def test_waiter_takes_a_fill_that_began_after_it_even_if_its_tags_have_changed() -> None:
    read = waiting()
    read.answer(None)
    assert expect(read.answer(Looked(stored_entry(), None, (OTHER_VERSION,))), Outcome).source is Source.COLLAPSED


@pytest.mark.parametrize(("tag", "kind"), [(VERSION, Outcome), (OTHER_VERSION, Acquire)])
def test_waiter_takes_a_fill_that_began_before_it_unless_it_was_invalidated(tag: bytes, kind: type) -> None:
    before = stored_entry()
    token = decode(before).token
    read = Read()
    read.answer(Looked(None, token, (VERSION,)))
    expect(read.answer(Acquired(False, Looked(None, token, (VERSION,)))), Wait)
    read.answer(None)
    expect(read.answer(Looked(before, None, (tag,))), kind)


def test_waiter_acquires_the_lease_of_a_holder_that_is_gone() -> None:
    read = waiting()
    read.answer(None)
    acquire = expect(read.answer(Looked(None, None, (VERSION,))), Acquire)
    expect(read.answer(Acquired(True, Looked(None, acquire.token, (VERSION,)))), Load)


def test_pauses_grow_and_end_with_the_wait_of_the_policy() -> None:
    pauses = pauses_of(waiting(chance=0.5, wait_ms=300))
    assert sum(pauses) == 300
    assert pauses[:3] == [10, 20, 40]
    assert max(pauses_of(waiting(chance=0.5, wait_ms=5_000))) == 250


def test_wait_is_as_long_as_the_policy_says_to_the_millisecond() -> None:
    read = waiting()
    read.now_ms += 4_999
    read.answer(None)
    assert expect(read.answer(Looked(None, LEASE, (VERSION,))), Wait).ms == 1


def test_wait_ends_before_the_runtime_does() -> None:
    assert sum(pauses_of(waiting(wait_ms=10_000, time_left_ms=5_000))) == 3_000


def test_waiter_that_waited_out_may_load_for_itself() -> None:
    read = waiting(waited_out=WaitedOut.LOAD)
    read.now_ms += 5_000
    read.answer(None)
    load = expect(read.answer(Looked(None, LEASE, (VERSION,))), Load)
    assert load.bypass is True
    outcome = expect(read.answer(Loaded(b"{}")), Outcome)
    assert (outcome.source, outcome.stored, outcome.detail) == (Source.MISS, False, "waited-out")


def waiting_with_a_last_resort(**rules: Any) -> Read:
    read = Read(START_MS + 80_000, **rules)
    read.answer(Looked(stored_entry(), LEASE, (VERSION,)))
    expect(read.answer(Acquired(False, Looked(stored_entry(), LEASE, (VERSION,)))), Wait)
    read.now_ms += 5_000
    read.answer(None)
    return read


def test_waiter_that_waited_out_takes_the_last_resort() -> None:
    outcome = expect(waiting_with_a_last_resort().answer(Looked(stored_entry(), LEASE, (VERSION,))), Outcome)
    assert (outcome.source, outcome.detail) == (Source.STALE_IF_ERROR, "waited-out")


def test_waiter_that_loads_for_itself_and_fails_takes_the_last_resort() -> None:
    read = waiting_with_a_last_resort(waited_out=WaitedOut.LOAD)
    expect(read.answer(Looked(stored_entry(), LEASE, (VERSION,))), Load)
    outcome = expect(read.answer(DatabaseUnavailable("down")), Outcome)
    assert (outcome.source, outcome.detail) == (Source.STALE_IF_ERROR, "stale-if-error")

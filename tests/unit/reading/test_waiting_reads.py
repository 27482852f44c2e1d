"""A read that finds another one loading: it waits, for what the other stores or to take its place."""

from __future__ import annotations

from typing import Any

from cacheaside.catalogue.policy import WaitedOut
from cacheaside.errors import WaitedTooLong
from cacheaside.reading.entry import decode
from cacheaside.reading.outcome import Outcome, Source
from cacheaside.reading.steps import Acquire, Acquired, Load, Loaded, Look, Looked, Wait
from tests.unit.support.one_read import NOTHING, OTHER, START_MS, VERSION, Read, expect, filled


def waiting(**rules: Any) -> Read:
    """A read that lost the lease to another, and waits."""
    one = Read(**rules)
    one.answer(NOTHING)
    expect(one.answer(Acquired(False, Looked(None, b"x" * 16, (VERSION,)))), Wait)
    return one


def test_who_sees_a_lease_waits_without_asking_for_it() -> None:
    expect(Read().answer(Looked(None, b"x" * 16, (None,))), Wait)


def test_loser_of_the_lease_takes_what_the_winner_stored() -> None:
    one = waiting()
    expect(one.answer(None), Look)
    outcome = expect(one.answer(Looked(filled(), None, (VERSION,))), Outcome)
    assert (outcome.source, outcome.entry.body) == (Source.COLLAPSED, b"{}")


def test_waiter_takes_a_fill_that_began_after_it_whatever_was_written_since() -> None:
    one = waiting()
    one.answer(None)
    assert expect(one.answer(Looked(filled(), None, (OTHER,))), Outcome).source is Source.COLLAPSED


def test_waiter_refuses_a_fill_that_began_before_it_and_was_taken_out() -> None:
    before = filled()
    token = decode(before).token
    one = Read()
    expect(one.answer(Looked(None, token, (VERSION,))), Wait)
    one.answer(None)
    expect(one.answer(Looked(before, None, (OTHER,))), Acquire)


def test_waiter_takes_the_place_of_a_holder_that_is_gone() -> None:
    one = waiting()
    one.answer(None)
    acquire = expect(one.answer(Looked(None, None, (VERSION,))), Acquire)
    expect(one.answer(Acquired(True, Looked(None, acquire.token, (VERSION,)))), Load)


def test_pauses_grow_and_end_with_the_patience() -> None:
    one = waiting(chance=0.5, wait_ms=300)
    pauses = []
    while isinstance(one.step, Wait):
        pauses.append(one.step.ms)
        one.now_ms += one.step.ms
        one.answer(None)
        try:
            one.answer(Looked(None, b"x" * 16, (VERSION,)))
        except WaitedTooLong:
            break
    assert sum(pauses) == 300
    assert pauses[:3] == [10, 20, 40]


def test_waiter_out_of_patience_may_load_for_itself() -> None:
    one = waiting(waited_out=WaitedOut.LOAD)
    one.now_ms += 5_000
    one.answer(None)
    load = expect(one.answer(Looked(None, b"x" * 16, (VERSION,))), Load)
    assert load.bypass is True
    outcome = expect(one.answer(Loaded(b"{}")), Outcome)
    assert (outcome.source, outcome.stored, outcome.detail) == (Source.MISS, False, "waited-out")


def test_waiter_out_of_patience_takes_the_last_resort() -> None:
    one = Read(START_MS + 80_000)
    expect(one.answer(Looked(filled(), b"x" * 16, (VERSION,))), Wait)
    one.now_ms += 5_000
    one.answer(None)
    outcome = expect(one.answer(Looked(filled(), b"x" * 16, (VERSION,))), Outcome)
    assert (outcome.source, outcome.detail) == (Source.STALE_IF_ERROR, "waited-out")

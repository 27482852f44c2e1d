"""All that can happen to the next step of a reader, and whether it violates an invariant.

It depends on nothing but the reader and the shared state, which recur in many states of the system. So the answers are
kept: the production code runs once for each of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from cacheaside.errors import CacheUnavailable, DatabaseUnavailable, EntryTooLarge, StatementTimeout
from cacheaside.reading import steps
from proofs.explorer.actors import Raised, ReadActor
from proofs.explorer.model import Mutant, SharedState, joined

__all__ = ["Move", "Request", "moves"]


class Request(NamedTuple):
    """A step, or the part of one that concerns either entry and lease, or the tag."""

    step: steps.Step
    part: str = ""

    def __str__(self) -> str:
        return type(self.step).__name__.lower() + (f" of the {self.part}" if self.part else "")

    def arrive(self, shared: SharedState, mutant: Mutant) -> SharedState:
        """Return the state after the server has executed it."""
        if not isinstance(self.step, steps.Look | steps.Acquire) or not self.part:
            return shared.do(self.step, mutant)[0]
        do_part = shared.do_on_entry if self.part == "entry" else shared.do_on_tag
        return do_part(self.step, mutant)[0]


class Move(NamedTuple):
    """One thing that can happen. `fault` names the kind of fault that it is, None if it is none."""

    event: str
    fault: str | None
    shared: SharedState
    reader: ReadActor
    late: tuple[Request, ...] = ()  # requests that may still arrive, after the reader has given them up
    violated: str | None = None  # the invariant, as a sentence


@cache
def moves(reader: ReadActor, shared: SharedState, acknowledged: int, mutant: Mutant) -> tuple[Move, ...]:
    """Return all that can happen next. The first is that nothing goes wrong."""
    begun = reader.begun(acknowledged, mutant)
    return tuple(move._replace(violated=_violated(begun, shared, move)) for move in _moves(begun, shared, mutant))


def _moves(reader: ReadActor, shared: SharedState, mutant: Mutant) -> Iterator[Move]:
    step = reader.step
    assert step is not None
    who, name = f"reader {reader.number}", f"reader {reader.number}: {Request(step)}"
    results = list(_results(reader, shared, mutant))
    for request, done, after in results:
        yield Move(f"{who}: {request}", None, done, after)
    if reader.renew is not None:
        renewed, _ = shared.do(reader.renew, mutant)
        if renewed != shared:
            yield Move(f"{who}: renew", None, renewed, reader)
    if isinstance(step, steps.Load):
        for kind in (StatementTimeout, DatabaseUnavailable):  # one that is shared, and one that is not
            failed = reader.after(Raised(kind, str(shared.value)), mutant)
            yield Move(f"{name} fails, {kind.__name__}", "failed_loads", results[0][1], failed)
        return
    # The requests arrive at once, later, or never: nothing makes the search wait for them. A Look has no effect.
    requests = () if isinstance(step, steps.Look) else tuple(request for request, _, _ in results)
    given_up = reader.after(Raised(CacheUnavailable), mutant)
    yield Move(f"{name} is given up", "lost_replies", shared.disturbed(), given_up, requests)
    if isinstance(step, steps.Store):
        too_large = reader.after(Raised(EntryTooLarge), mutant)
        yield Move(f"{name} is given up, too large", "lost_replies", shared.disturbed(), too_large, requests)
    if isinstance(step, steps.Look | steps.Store):
        return
    # The driver sends all parts again if a connection turns out to have ended, but not a Store. Then the server has
    # executed the first request, or never will.
    again = reader if mutant.repeated_versions else reader.sent_again()
    for request, done, _ in results:
        if done != shared:
            yield Move(f"{who}: {request}, to be sent again", "lost_replies", done.disturbed(), again)


def _results(
    reader: ReadActor, shared: SharedState, mutant: Mutant
) -> Iterator[tuple[Request, SharedState, ReadActor]]:
    """Yield each request that the server can execute next, the state after it, and the reader after its reply."""
    step = reader.step
    assert step is not None
    if not (mutant.tags_apart and isinstance(step, steps.Look | steps.Acquire)):
        done, result = shared.do(step, mutant)
        yield Request(step), done, reader.after(result, mutant)
        return
    halves = dict(reader.halves)
    if "entry" not in halves:
        done, kept = shared.do_on_entry(step, mutant)
        complete = "tag" in halves
        after = (
            reader.after(joined(step, kept, halves["tag"]), mutant) if complete else reader.after_half("entry", kept)
        )
        yield Request(step, "entry"), done, after
    if "tag" not in halves:
        done, tag = shared.do_on_tag(step, mutant)
        complete = "entry" in halves
        after = reader.after(joined(step, halves["entry"], tag), mutant) if complete else reader.after_half("tag", tag)
        yield Request(step, "tag"), done, after


def _violated(before: ReadActor, shared: SharedState, move: Move) -> str | None:
    reader, oldest = move.reader, move.reader.oldest_allowed
    if before.answer is None and reader.answer is not None and oldest is not None and reader.answer < oldest:
        return f"reader {reader.number} answers {reader.answer}, though write {oldest} was acknowledged before it began"
    stored = isinstance(before.step, steps.Store) and move.shared.entry != shared.entry
    if stored and isinstance(before.step, steps.Store) and shared.lease != before.step.token:
        return f"reader {reader.number} stores without holding the lease"
    return None

"""All that can happen to the next step of a reader, and whether it violates an invariant.

It depends on nothing but the reader and the shared state, which recur in many states of the system. So the answers are
kept: the production code runs once for each of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from cacheaside.errors import CacheUnavailable, DatabaseUnavailable, StatementTimeout
from cacheaside.reading import steps
from proofs.explorer.actors import Raised, ReadActor
from proofs.explorer.model import Mutant, SharedState

__all__ = ["Move", "moves"]


class Move(NamedTuple):
    """One thing that can happen. `fault` names the kind of fault that it is, None if it is none."""

    event: str
    fault: str | None
    shared: SharedState
    reader: ReadActor
    late: steps.Step | None = None  # a request that may still arrive, after its reader has given it up
    violated: str | None = None  # the invariant, as a sentence


@cache
def moves(reader: ReadActor, shared: SharedState, acknowledged: int, mutant: Mutant) -> tuple[Move, ...]:
    """Return all that can happen next. The first is that nothing goes wrong."""
    begun = reader.begun(acknowledged, mutant)
    return tuple(move._replace(violated=_violated(begun, shared, move)) for move in _moves(begun, shared, mutant))


def _moves(reader: ReadActor, shared: SharedState, mutant: Mutant) -> Iterator[Move]:
    step = reader.step
    assert step is not None
    name = f"reader {reader.number}: {type(step).__name__.lower()}"
    done, result = shared.do(step, mutant)
    yield Move(name, None, done, reader.after(result, mutant))
    if reader.renew is not None:
        renewed, _ = shared.do(reader.renew, mutant)
        if renewed != shared:
            yield Move(f"reader {reader.number}: renew", None, renewed, reader)
    if isinstance(step, steps.Load):
        for kind in (StatementTimeout, DatabaseUnavailable):  # one that is shared, and one that is not
            failed = reader.after(Raised(kind, str(shared.value)), mutant)
            yield Move(f"{name} fails, {kind.__name__}", "failed_loads", done, failed)
        return
    given_up, disturbed = reader.after(Raised(CacheUnavailable), mutant), shared.disturbed()
    if isinstance(step, steps.Look):
        yield Move(f"{name} fails", "lost_replies", disturbed, given_up)
        return
    # The request arrives at once, later, or never: nothing makes the search wait for it.
    yield Move(f"{name} is given up", "lost_replies", disturbed, given_up, late=step)
    # The driver sends a step again if its connection turns out to have ended, but not a Store. Then the server has
    # done the first request, or never will.
    if not isinstance(step, steps.Store) and done != shared:
        again = reader if mutant.repeated_versions else reader.sent_again()
        yield Move(f"{name}, to be sent again", "lost_replies", done.disturbed(), again)


def _violated(before: ReadActor, shared: SharedState, move: Move) -> str | None:
    reader, oldest = move.reader, move.reader.oldest_allowed
    if before.answer is None and reader.answer is not None and oldest is not None and reader.answer < oldest:
        return f"reader {reader.number} answers {reader.answer}, though write {oldest} was acknowledged before it began"
    stored = isinstance(before.step, steps.Store) and move.shared.entry != shared.entry
    if stored and isinstance(before.step, steps.Store) and shared.lease != before.step.token:
        return f"reader {reader.number} stores without holding the lease"
    return None

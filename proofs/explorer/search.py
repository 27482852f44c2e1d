"""The search: from every state, every possible transition, until no new state is left.

A crash needs no transition of its own. A reader that is never scheduled again has crashed, and the search tries every
interleaving in which a reader stops after any of its steps while the others go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from cacheaside.reading import steps
from proofs.explorer.actors import ReadActor, WriteActor, forget
from proofs.explorer.adversary import NEW_READER, overwritten, stuck_reader, unhealed
from proofs.explorer.model import KEYS, Mutant, SharedState
from proofs.explorer.moves import Request, moves

__all__ = ["Exploration", "Faults", "Scenario", "SystemState", "explore"]


class Faults(NamedTuple):
    """How many faults of each kind may happen."""

    lost_keys: int = 0  # by eviction; a lease also by its end
    overwrites: int = 0  # by the adversary
    lost_replies: int = 0  # the request arrives at once, later, or never, or is sent twice
    failed_loads: int = 0

    def without(self, kind: str) -> Faults:
        """Return the faults that may still happen after one of that kind."""
        return _without(self, kind)

    def __str__(self) -> str:
        return ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in self._asdict().items() if n) or "no faults"


@dataclass(frozen=True, slots=True)
class Scenario:
    """The number of actors, the initial shared state, and the faults that may happen."""

    name: str
    initial: SharedState
    readers: int
    writers: int
    faults: Faults

    def __str__(self) -> str:
        return f"{self.readers} readers, {self.writers} writers, {self.faults}, {self.name}"


class SystemState(NamedTuple):
    """One state of the whole system. `late` holds requests that may still arrive, though their readers gave them up."""

    shared: SharedState
    readers: tuple[ReadActor, ...]
    writers: tuple[WriteActor, ...]
    faults: Faults  # that may still happen
    late: tuple[Request, ...] = ()


# The events that led to a state, the last one first.
Trace = tuple["Trace", str] | None

# The event, the state that follows, and the invariant that it violates.
Transition = tuple[str, SystemState, str | None]


@dataclass(slots=True)
class Exploration:
    """The result of a search. `violation` is the trace to the first violated invariant, None if there is none."""

    states: int = 0
    transitions: int = 0
    most_undisturbed_loads: int = 0  # where nothing but the failure of a load justified another one
    violation: tuple[str, ...] | None = None
    visited: set[int] = field(default_factory=set)


def explore(scenario: Scenario, mutant: Mutant) -> Exploration:
    """Visit every reachable state. Returns the result; ends early at the first violation."""
    forget()
    moves.cache_clear()
    explored = Exploration()
    initial = SystemState(
        scenario.initial,
        tuple(ReadActor(number) for number in range(1, scenario.readers + 1)),
        tuple(WriteActor(number) for number in range(1, scenario.writers + 1)),
        scenario.faults,
    )
    stack: list[tuple[SystemState, Trace]] = [(initial, None)]
    while stack:
        state, trace = stack.pop()
        digest = hash(state)
        if digest in explored.visited:
            continue
        explored.visited.add(digest)
        explored.states += 1
        violated = _violated(state, scenario, mutant)
        if violated is not None:
            explored.violation = (*_listed(trace), violated)
            return explored
        for event, after, violated in _transitions(state, mutant):
            explored.transitions += 1
            if violated is not None:
                explored.violation = (*_listed(trace), event, violated)
                return explored
            stack.append((after, (trace, event)))
        if state.shared.loads is not None and all(reader.done for reader in state.readers):
            explored.most_undisturbed_loads = max(explored.most_undisturbed_loads, state.shared.loads)
    return explored


def _listed(trace: Trace) -> list[str]:
    events = []
    while trace is not None:
        trace, event = trace
        events.append(event)
    return events[::-1]


@cache
def _without(faults: Faults, kind: str) -> Faults:
    return faults._replace(**{kind: getattr(faults, kind) - 1})


@cache
def _acknowledged(writers: tuple[WriteActor, ...]) -> int:
    """Return the newest write that every read which begins now must see."""
    return max((writer.acknowledged for writer in writers), default=0)


def _transitions(state: SystemState, mutant: Mutant) -> Iterator[Transition]:
    """Yield every state that can follow."""
    shared, readers, writers, faults, late = state
    yield from _transitions_of_readers(state, mutant)
    for at, writer in enumerate(writers):
        if not writer.done:
            event, after, write_actor = writer.act(shared, mutant)
            actors = (*writers[:at], write_actor, *writers[at + 1 :])
            yield event, SystemState(after, readers, actors, faults, late), None
        if not (writer.committed or writer.invalidated):  # symmetry, as for readers
            break
    for at, request in enumerate(late):
        after = request.arrive(shared, mutant)
        others = late[:at] + late[at + 1 :]
        yield f"the {request} arrives", SystemState(after, readers, writers, faults, others), None
    for event, after, fault in _losses(shared):
        if fault is None or faults.lost_keys:
            left = faults if fault is None else faults.without(fault)
            yield event, SystemState(after, readers, writers, left, late), None
    if faults.overwrites:
        fewer = faults.without("overwrites")
        for event, after in overwritten(shared, faults.overwrites, mutant):
            yield event, SystemState(after.disturbed(), readers, writers, fewer, late), None


@cache
def _losses(shared: SharedState) -> tuple[tuple[str, SharedState, str | None], ...]:
    """Return every state that follows when a key is lost, with the event before it, and the kind of fault behind it."""
    losses: list[tuple[str, SharedState, str | None]] = [
        (f"the {key} is lost", shared.without(key).disturbed(), "lost_keys")
        for key in KEYS
        if getattr(shared, key) is not None
    ]
    if shared.has_failure():  # this is no fault: it does not last
        losses.append(("the failure ends", shared.without("lease").disturbed(), None))
    return tuple(losses)


def _transitions_of_readers(state: SystemState, mutant: Mutant) -> Iterator[Transition]:
    shared, readers, writers, faults, late = state
    acknowledged = _acknowledged(writers)
    for at, reader in enumerate(readers):
        if reader.done:
            continue
        before, behind = readers[:at], readers[at + 1 :]
        for event, fault, after, read_actor, requests, violated in moves(reader, shared, acknowledged, mutant):
            left = faults
            if fault is not None:
                if not getattr(faults, fault):
                    continue
                left = faults.without(fault)
            yield event, SystemState(after, (*before, read_actor, *behind), writers, left, late + requests), violated
        if reader.oldest_allowed is None:  # symmetry: actors that have not begun are alike, so one of them is enough
            break


def _violated(state: SystemState, scenario: Scenario, mutant: Mutant) -> str | None:
    """Return the invariant that a state violates, as a sentence, or None."""
    shared, readers, writers, faults, _ = state
    acknowledged, possible = _acknowledged(writers), scenario.faults
    violated = _violated_by_another(shared, acknowledged, mutant)
    if violated is not None:
        return violated
    ended = all(reader.done for reader in readers)
    if faults.lost_keys == possible.lost_keys and faults.overwrites == possible.overwrites:
        for reader in readers:
            if reader.lease is not None and shared.lease != reader.lease:
                return f"reader {reader.number} has lost its lease, though it is alive"
        if ended and faults.lost_replies == possible.lost_replies and _is_held(shared):
            return "a lease is left behind"
    if not possible.overwrites:
        return None
    return unhealed(shared, acknowledged, mutant) if ended else stuck_reader(shared, readers, acknowledged, mutant)


@cache
def _violated_by_another(shared: SharedState, acknowledged: int, mutant: Mutant) -> str | None:
    """Return the invariant that one more read violates, if it begins now and needs no more than a look."""
    reader = NEW_READER
    while reader.step is None or isinstance(reader.step, steps.Look):
        _, _, _, reader, _, violated = moves(reader, shared, acknowledged, mutant)[0]
        if reader.done or violated is not None:
            return violated
    return None


def _is_held(shared: SharedState) -> bool:
    return shared.lease is not None and not shared.has_failure()

"""The search: from every state, every possible transition, until no new state is left.

A crash needs no transition of its own. A reader that is never scheduled again has crashed, and the search tries every
interleaving in which a reader stops after any of its steps while the others go on.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace

from cacheaside.reading import steps
from proofs.explorer.actors import ReadActor, WriteActor
from proofs.explorer.adversary import overwritten, stuck_reader, unhealed
from proofs.explorer.model import Mutant, SharedState

__all__ = ["Exploration", "Scenario", "SystemState", "explore"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """The number of actors, the initial shared state, and how many keys may be lost."""

    name: str
    initial: SharedState
    readers: int = 3
    writers: int = 2
    lost_keys: int = 1  # by eviction; a lease also by its end
    overwrites: int = 0  # by the adversary


@dataclass(frozen=True, slots=True)
class SystemState:
    """One state of the whole system. `trace` lists the transitions that led to it, and is no part of its identity."""

    shared: SharedState
    readers: tuple[ReadActor, ...]
    writers: tuple[WriteActor, ...]
    lost_keys: int  # that may still follow
    overwrites: int  # that may still follow
    trace: tuple[str, ...] = ()

    @property
    def identity(self) -> Hashable:
        """All that distinguishes this state from others."""
        readers, writers = tuple(reader.identity for reader in self.readers), self.writers
        return (self.shared, readers, writers, self.lost_keys, self.overwrites)

    @property
    def acknowledged(self) -> int:
        """The newest write that every read which begins now must see."""
        return max((writer.acknowledged for writer in self.writers), default=0)


@dataclass(slots=True)
class Exploration:
    """The result of a search. `violation` is the trace to the first violated invariant, None if there is none."""

    states: int = 0
    transitions: int = 0
    most_undisturbed_loads: int = 0  # in an interleaving without writes and lost keys
    violation: tuple[str, ...] | None = None
    visited: set[int] = field(default_factory=set)


def explore(scenario: Scenario, mutant: Mutant, *, stop_at_first: bool = True) -> Exploration:
    """Visit every reachable state. Returns the result; ends early at the first violation if `stop_at_first`."""
    explored = Exploration()
    initial = SystemState(
        scenario.initial,
        tuple(ReadActor(number) for number in range(1, scenario.readers + 1)),
        tuple(WriteActor(number) for number in range(1, scenario.writers + 1)),
        scenario.lost_keys,
        scenario.overwrites,
    )
    stack = [initial]
    while stack:
        state = stack.pop()
        digest = hash(state.identity)
        if digest in explored.visited:
            continue
        explored.visited.add(digest)
        explored.states += 1
        unable = _unable_to_go_on(state, mutant) if scenario.overwrites else None
        if unable and explored.violation is None:
            explored.violation = (*state.trace, unable)
            if stop_at_first:
                return explored
        for after in _transitions(state, mutant):
            explored.transitions += 1
            violated = _violated_invariant(state, after)
            if violated and explored.violation is None:
                explored.violation = (*after.trace, violated)
                if stop_at_first:
                    return explored
            stack.append(after)
        _record_loads(state, scenario, explored)
    return explored


def _transitions(state: SystemState, mutant: Mutant) -> Iterator[SystemState]:
    """Yield every state that can follow."""
    for at, reader in enumerate(state.readers):
        if reader.done:
            continue
        shared, read_actor = reader.act(state.shared, state.acknowledged, mutant)
        readers = (*state.readers[:at], read_actor, *state.readers[at + 1 :])
        action = "look" if reader.step is None else type(reader.step).__name__.lower()
        trace = (*state.trace, f"reader {reader.number}: {action}")
        yield replace(state, shared=shared, readers=readers, trace=trace)
        if reader.oldest_allowed is None:  # symmetry: actors that have not begun are alike, so one of them is enough
            break
    for at, writer in enumerate(state.writers):
        if not writer.done:
            shared, write_actor = writer.act(state.shared, mutant)
            writers = (*state.writers[:at], write_actor, *state.writers[at + 1 :])
            action = "commit" if write_actor.committed != writer.committed else "invalidate"
            trace = (*state.trace, f"writer {writer.number}: {action}")
            yield replace(state, shared=shared, writers=writers, trace=trace)
        if writer == WriteActor(writer.number):  # symmetry, as above
            break
    if state.lost_keys:
        for key in ("entry", "lease", "tag"):
            if getattr(state.shared, key) is not None:
                shared = state.shared.without(key)
                trace = (*state.trace, f"the {key} is lost")
                yield replace(state, shared=shared, lost_keys=state.lost_keys - 1, trace=trace)
    if state.overwrites:
        for action, shared in overwritten(state.shared, state.overwrites, mutant):
            yield replace(state, shared=shared, overwrites=state.overwrites - 1, trace=(*state.trace, action))


def _violated_invariant(before: SystemState, after: SystemState) -> str | None:
    """Return the invariant that a transition violates, as a sentence, or None."""
    for old, new in zip(before.readers, after.readers, strict=True):
        oldest = new.oldest_allowed
        if new.answer is not None and old.answer is None and oldest is not None and new.answer < oldest:
            return f"reader {new.number} answers {new.answer}, though write {oldest} was acknowledged before it began"
        stored = after.shared.entry is not before.shared.entry
        if stored and isinstance(old.step, steps.Store) and old is not new and before.shared.lease != old.step.token:
            return f"reader {new.number} stores without holding the lease"
    return None


def _unable_to_go_on(state: SystemState, mutant: Mutant) -> str | None:
    """Return a sentence if a reader waits for ever, or if the cache is of no use to those who come later."""
    if all(reader.done for reader in state.readers):
        return unhealed(state.shared, state.acknowledged, mutant)
    return stuck_reader(state.shared, state.readers, state.acknowledged, mutant)


def _record_loads(state: SystemState, scenario: Scenario, explored: Exploration) -> None:
    if not all(reader.done for reader in state.readers):
        return
    undisturbed = (state.lost_keys, state.overwrites) == (scenario.lost_keys, scenario.overwrites)
    if undisturbed and not any(writer.committed for writer in state.writers):
        explored.most_undisturbed_loads = max(explored.most_undisturbed_loads, state.shared.loads)

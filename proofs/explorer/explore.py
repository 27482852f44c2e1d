"""The search: from every state, whatever can happen next, until nothing is left.

A crash needs no event of its own: a reader that is never scheduled again has crashed, and since every interleaving is
tried, so is every one in which a reader stops for ever after any of its steps and the others go on.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace

from cacheaside.reading import steps
from proofs.explorer.actors import Reader, Writer
from proofs.explorer.model import Variant, World

__all__ = ["Found", "Scenario", "State", "explore"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """Who takes part, from what, and how many accidents may happen."""

    name: str
    world: World
    readers: int = 3
    writers: int = 2
    drops: int = 1  # a key vanishes: eviction, or for the lease its end


@dataclass(frozen=True, slots=True)
class State:
    """One moment. `trace` tells how it came about, and does not distinguish it."""

    world: World
    readers: tuple[Reader, ...]
    writers: tuple[Writer, ...]
    drops: int
    trace: tuple[str, ...] = ()

    @property
    def key(self) -> Hashable:
        """What distinguishes this state."""
        readers, writers = tuple(reader.key for reader in self.readers), self.writers
        return (self.world, readers, writers, self.drops)


@dataclass(slots=True)
class Found:
    """What a search saw. `violation` is the trace to the first thing that must not be, None if there is none."""

    states: int = 0
    transitions: int = 0
    most_loads_when_calm: int = 0
    violation: tuple[str, ...] | None = None
    seen: set[int] = field(default_factory=set)


def explore(scenario: Scenario, variant: Variant, *, stop_at_first: bool = True) -> Found:
    """Try everything. Returns what was found; ends early at the first violation."""
    found = Found()
    start = State(
        scenario.world,
        tuple(Reader(name) for name in range(1, scenario.readers + 1)),
        tuple(Writer(name) for name in range(1, scenario.writers + 1)),
        scenario.drops,
    )
    stack = [start]
    while stack:
        state = stack.pop()
        digest = hash(state.key)
        if digest in found.seen:
            continue
        found.seen.add(digest)
        found.states += 1
        for after in _next(state, variant):
            found.transitions += 1
            problem = _wrong(state, after, variant)
            if problem and found.violation is None:
                found.violation = (*after.trace, problem)
                if stop_at_first:
                    return found
            stack.append(after)
        _count(state, scenario, found)
    return found


def _next(state: State, variant: Variant) -> Iterator[State]:
    acknowledged = max((writer.acknowledged for writer in state.writers), default=0)
    for at, reader in enumerate(state.readers):
        if reader.done:
            continue
        world, after = reader.act(state.world, acknowledged, variant)
        what = "look" if reader.step is None else type(reader.step).__name__.lower()
        yield _moved(state, at, world, after, what)
        if reader.floor is None:  # those who have not begun are all alike: the first of them stands for any
            break
    for at, writer in enumerate(state.writers):
        if not writer.done:
            world, acted = writer.act(state.world, variant)
            writers = (*state.writers[:at], acted, *state.writers[at + 1 :])
            what = "commits" if acted.committed != writer.committed else "invalidates"
            trace = (*state.trace, f"writer {writer.name} {what}")
            yield replace(state, world=world, writers=writers, trace=trace)
        if writer == Writer(writer.name):  # so are they
            break
    if state.drops:
        for key in ("entry", "lease", "tag"):
            if getattr(state.world, key) is not None:
                world = replace(state.world, **{key: None})
                trace = (*state.trace, f"the {key} vanishes")
                yield replace(state, world=world, drops=state.drops - 1, trace=trace)


def _moved(state: State, at: int, world: World, reader: Reader, what: str) -> State:
    readers = (*state.readers[:at], reader, *state.readers[at + 1 :])
    return replace(state, world=world, readers=readers, trace=(*state.trace, f"reader {reader.name} {what}"))


def _wrong(before: State, after: State, variant: Variant) -> str | None:
    """Say what is wrong with a transition, if anything is."""
    for old, new in zip(before.readers, after.readers, strict=True):
        if new.answer is not None and old.answer is None and new.floor is not None and new.answer < new.floor:
            return f"reader {new.name} answers {new.answer}, though write {new.floor} was acknowledged before it began"
        stored = after.world.entry is not before.world.entry
        if stored and isinstance(old.step, steps.Store) and old is not new and before.world.lease != old.step.token:
            return f"reader {new.name} stores without holding the lease"
    return None


def _count(state: State, scenario: Scenario, found: Found) -> None:
    if not all(reader.done for reader in state.readers):
        return
    if state.drops == scenario.drops and not any(writer.committed for writer in state.writers):
        found.most_loads_when_calm = max(found.most_loads_when_calm, state.world.loads)

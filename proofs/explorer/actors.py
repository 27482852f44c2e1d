"""The actors of the model: readers, which run the production read path, and writers. `search` calls both.

A generator cannot be copied. So a read actor keeps the results that its generator was sent, and replays them from the
beginning when the search continues from a state. Two read actors with equal generator frames are in the same state.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final

from cacheaside.reading import steps
from cacheaside.reading.entry import TOKEN_BYTES, Entry
from cacheaside.reading.fill import ReadContext
from cacheaside.reading.outcome import Outcome
from cacheaside.reading.read_path import read
from proofs.explorer.model import NOW_MS, POLICY, QUESTION, Mutant, SharedState

__all__ = ["ReadActor", "WriteActor"]

_MOST_TOKENS: Final = 6


@dataclass(frozen=True, slots=True)
class ReadActor:
    """A read, and the refresh that it may be elected to.

    `oldest_allowed` is the newest write that was acknowledged before the read began; None before it begins.
    """

    number: int
    sent: tuple[object, ...] = ()
    step: steps.Step | None = None
    oldest_allowed: int | None = None
    answer: int | None = None
    done: bool = False
    frames: Hashable = None

    @property
    def identity(self) -> Hashable:
        """All that distinguishes the future of this actor from that of another one."""
        return (self.done, self.oldest_allowed, self.answer, self.frames)

    def act(self, shared: SharedState, acknowledged: int, mutant: Mutant) -> tuple[SharedState, ReadActor]:
        """Do the next step. A read begins with its first step: an earlier begin could only allow older answers."""
        begun = self if self.oldest_allowed is not None else replace(self, oldest_allowed=acknowledged)._run((), mutant)
        assert begun.step is not None
        after, result = shared.do(begun.step, mutant)
        return after, begun._run((*begun.sent, result), mutant)

    def _run(self, sent: tuple[object, ...], mutant: Mutant) -> ReadActor:
        """Return this actor after its generator was sent all of `sent`."""
        context = self._context(mutant)
        path: Generator[steps.Step, Any, Any] = read(QUESTION, context)
        answer, step = None, next(path)
        for result in sent:
            try:
                step = path.send(result)
                while isinstance(step, steps.Wait):  # no transition: others can act between any two steps anyway
                    step = next(path)
            except StopIteration as end:
                refresh = end.value.refresh if isinstance(end.value, Outcome) else None
                answer = int(end.value.entry.body or b"") if isinstance(end.value, Outcome) else answer
                if refresh is None:
                    return replace(self, sent=(), step=None, answer=answer, done=True, frames=None)
                path, step = refresh.path, next(refresh.path)
        return replace(self, sent=sent, step=step, answer=answer, frames=_frames(path, (QUESTION, POLICY, context)))

    def _context(self, mutant: Mutant) -> ReadContext:
        numbers = count(1)

        def token() -> bytes:
            # In some mutants a read never ends. Without a limit it would make new states for ever.
            number = min(next(numbers), _MOST_TOKENS)
            return (
                b"one client for all".ljust(TOKEN_BYTES)[:TOKEN_BYTES]
                if mutant.token_per_client
                else (bytes([self.number, number]).ljust(TOKEN_BYTES, b"."))
            )

        return ReadContext(lambda: NOW_MS, lambda: NOW_MS, token, lambda: 0.0, lambda: 1_000_000)


def _frames(path: Any, constants: tuple[object, ...]) -> Hashable:
    """Return the position and the local variables of a generator, and of those that it delegates to.

    Leaves out `constants` and times, which decide nothing: the clock stands still, and a wait may have any length.
    """
    constant_ids = set(map(id, constants))
    frames = []
    while path is not None and getattr(path, "gi_frame", None) is not None:
        variables = path.gi_frame.f_locals.items()
        held = tuple(
            (name, _hashable(value))
            for name, value in variables
            if id(value) not in constant_ids and not name.endswith("_ms")
        )
        frames.append((path.gi_frame.f_lasti, held))
        path = path.gi_yieldfrom
    return tuple(frames)


def _hashable(value: object) -> Hashable:
    if isinstance(value, Entry):
        return (value.body, value.token, value.tag_versions, value.fresh_until_ms)
    if isinstance(value, Hashable):
        return value
    return repr(value)


@dataclass(frozen=True, slots=True)
class WriteActor:
    """Commits one write, invalidates the tag, and is then acknowledged: two transitions, in this order."""

    number: int
    committed: int = 0
    invalidated: bool = False

    @property
    def acknowledged(self) -> int:
        """The value that every read which begins now must reach; 0 until this write is acknowledged."""
        return self.committed if self.done else 0

    @property
    def done(self) -> bool:
        """Whether both transitions are over."""
        return bool(self.committed) and self.invalidated

    def act(self, shared: SharedState, mutant: Mutant) -> tuple[SharedState, WriteActor]:
        """Do the next of the two transitions."""
        commit = not self.committed if not mutant.invalidate_first else self.invalidated
        if commit:
            return replace(shared, value=shared.value + 1), replace(self, committed=shared.value + 1)
        return replace(shared, tag=None), replace(self, invalidated=True)

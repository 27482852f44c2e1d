"""Who acts in the world: readers, which run the production read path, and writers.

A generator cannot be copied. So a reader is what it has been sent so far, and is run again from its beginning when the
explorer goes on from a state; two readers whose frames hold the same are the same state.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final

from cacheaside.reading import steps
from cacheaside.reading.entry import TOKEN_BYTES, Entry
from cacheaside.reading.outcome import Outcome
from cacheaside.reading.read_path import Surroundings, read
from proofs.explorer.model import BOUND, NOW_MS, Variant, World

__all__ = ["Reader", "Writer"]

# Locals that decide nothing: how long a waiter sleeps is nobody's business where every interleaving is tried.
_TOKENS_AT_MOST: Final = 6
_IRRELEVANT: Final = frozenset({"around", "bound", "pause_ms", "left_ms", "until_ms", "policy", "now_ms"})


@dataclass(frozen=True, slots=True)
class Reader:
    """A read, and the refresh that it may have been elected to. `floor`: the newest write acknowledged before it."""

    name: int
    sent: tuple[object, ...] = ()
    step: steps.Step | None = None
    floor: int | None = None
    answer: int | None = None
    done: bool = False
    state: Hashable = None

    @property
    def key(self) -> Hashable:
        """What distinguishes this reader from another in its place."""
        return (self.done, self.floor, self.answer, self.state)

    def act(self, world: World, acknowledged: int, variant: Variant) -> tuple[World, Reader]:
        """Do the next step. The first comes right after the beginning: beginning earlier could only ask for less."""
        reader = self if self.floor is not None else replace(self, floor=acknowledged)._run((), variant)
        assert reader.step is not None
        after, result = world.do(reader.step, variant)
        return after, reader._run((*reader.sent, result), variant)

    def _run(self, sent: tuple[object, ...], variant: Variant) -> Reader:
        """Return this reader after it was sent all of `sent`."""
        path: Generator[steps.Step, Any, Any] = read(BOUND, self._surroundings(variant))
        answer, step = None, next(path)
        for result in sent:
            try:
                step = path.send(result)
                while isinstance(step, steps.Wait):  # others can always come in between two steps
                    step = next(path)
            except StopIteration as end:
                refresh = end.value.refresh if isinstance(end.value, Outcome) else None
                answer = int(end.value.entry.body or b"") if isinstance(end.value, Outcome) else answer
                if refresh is None:
                    return replace(self, sent=(), step=None, answer=answer, done=True, state=None)
                path, step = refresh, next(refresh)
        return replace(self, sent=sent, step=step, answer=answer, state=_frames(path))

    def _surroundings(self, variant: Variant) -> Surroundings:
        numbers = count(1)

        def token() -> bytes:
            # A reader that never comes to an end, as in one of the broken variants, must not make new states for ever.
            number = min(next(numbers), _TOKENS_AT_MOST)
            return (
                b"one client for all".ljust(TOKEN_BYTES)[:TOKEN_BYTES]
                if variant.token_per_client
                else (bytes([self.name, number]).ljust(TOKEN_BYTES, b"."))
            )

        return Surroundings(lambda: NOW_MS, token, lambda: 0.0, lambda: 1_000_000)


def _frames(path: Any) -> Hashable:
    """Return where a generator stands, with all that it holds, and the same for those it delegates to."""
    frames = []
    while path is not None and getattr(path, "gi_frame", None) is not None:
        frame = path.gi_frame
        held = tuple((name, _plain(value)) for name, value in frame.f_locals.items() if name not in _IRRELEVANT)
        frames.append((frame.f_lasti, held))
        path = path.gi_yieldfrom
    return tuple(frames)


def _plain(value: object) -> Hashable:
    if isinstance(value, Entry):
        return (value.body, value.token, value.tag_versions, value.fresh_until_ms)
    if isinstance(value, Hashable):
        return value
    return repr(value)


@dataclass(frozen=True, slots=True)
class Writer:
    """Commits one write, takes the tag out, and is acknowledged: two instants, in this order."""

    name: int
    committed: int = 0
    invalidated: bool = False

    @property
    def acknowledged(self) -> int:
        """The value that every read must reach which begins now; 0 while the caller still waits."""
        return self.committed if self.committed and self.invalidated else 0

    @property
    def done(self) -> bool:
        """True when both instants are over."""
        return bool(self.committed) and self.invalidated

    def act(self, world: World, variant: Variant) -> tuple[World, Writer]:
        """Do the next of the two."""
        commit = not self.committed if not variant.invalidate_first else self.invalidated
        if commit:
            return replace(world, value=world.value + 1), replace(self, committed=world.value + 1)
        return replace(world, tag=None), replace(self, invalidated=True)

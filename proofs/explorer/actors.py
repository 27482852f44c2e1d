"""The actors of the model: readers, which run the production read path, and writers.

A generator cannot be copied. So a read actor keeps the results that its generator was sent, and replays them from the
beginning when the search continues from a state. Two read actors with equal generator frames are the same actor.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from typing import Any, Final, NamedTuple

from cacheaside.errors import CacheasideError, CacheUnavailable, DatabaseError
from cacheaside.reading import steps
from cacheaside.reading.entry import TOKEN_BYTES, Entry
from cacheaside.reading.failure import Failure
from cacheaside.reading.fill import ReadContext
from cacheaside.reading.outcome import Outcome
from cacheaside.reading.read_path import read
from proofs.explorer.model import NOW_MS, POLICY, QUESTION, Mutant, SharedState

__all__ = ["Raised", "ReadActor", "WriteActor", "forget"]

_MOST_TOKENS: Final = 12


@dataclass(frozen=True, slots=True, eq=False)
class ReadActor:
    """A read, and the refresh that it may be elected to. `_known` holds one object for each state of a read.

    `oldest_allowed` is the newest write that was acknowledged before the read began; None before it begins. `answer` is
    the value of its answer or, if it ends with an error, the value at the moment of the load that failed.
    """

    number: int
    sent: tuple[object, ...] = ()
    step: steps.Step | None = None
    renew: steps.Renew | None = None  # done at any time while it loads
    oldest_allowed: int | None = None
    answer: int | None = None
    done: bool = False
    resent: int = 0  # how often its step was done before
    halves: tuple[tuple[str, Any], ...] = ()  # the results of the parts of its step that are done
    frames: Hashable = None

    @property
    def identity(self) -> Hashable:
        """All that distinguishes the future of this actor from that of another one."""
        return (self.number, self.done, self.oldest_allowed, self.answer, self.resent, self.halves, self.frames)

    @property
    def lease(self) -> bytes | None:
        """The token of the lease that it must hold while it lives: until its Store. None if it holds none."""
        return self.renew.token if self.renew is not None and not isinstance(self.step, steps.Release) else None

    def begun(self, acknowledged: int, mutant: Mutant) -> ReadActor:
        """Return this actor, begun.

        A read begins with its first step. An earlier begin could only allow older answers.
        """
        if self.oldest_allowed is not None:
            return self
        return replace(self, oldest_allowed=acknowledged)._run((), mutant)

    @cache  # noqa: B019 `forget` empties it
    def after(self, result: Hashable, mutant: Mutant) -> ReadActor:
        """Return this actor after its step had that result."""
        return self._run((*self.sent, result), mutant)

    def after_half(self, part: str, result: object) -> ReadActor:
        """Return this actor after one part of its step was done."""
        return _known(replace(self, halves=(*self.halves, (part, result))))

    def sent_again(self) -> ReadActor:
        """Return this actor with its step still pending, though it was done.

        An Acquire gives a tag another version each time, because the script makes it from the time as well.
        """
        if not isinstance(self.step, steps.Acquire):
            return _known(replace(self, halves=()))
        resent = self.resent + 1
        seeds = tuple(seed[:-1] + bytes([resent]) for seed in self.step.seeds)
        return _known(replace(self, step=self.step._replace(seeds=seeds), resent=resent, halves=()))

    def _run(self, sent: tuple[object, ...], mutant: Mutant) -> ReadActor:
        """Return this actor after its generator was sent all of `sent`."""
        context = self._context(mutant)
        path: Generator[steps.Step, Any, Any] = read(QUESTION, context)
        answer, step, renew = None, next(path), None
        for result in sent:
            # A load is one instant here, that of its snapshot. It lasts until the next step.
            renew = step.renew if isinstance(step, steps.Load) else None
            try:
                step = _resume(path, result)
                while isinstance(step, steps.Wait):  # no transition: others can act between any two steps anyway
                    step = next(path)
            except StopIteration as end:
                refresh = end.value.refresh if isinstance(end.value, Outcome) else None
                answer = int(end.value.entry.body or b"") if isinstance(end.value, Outcome) else answer
                if refresh is None:
                    return self._ended(answer)
                path, step = refresh.path, next(refresh.path)
            except (DatabaseError, CacheUnavailable) as error:  # the latter only from a refresh
                return self._ended(int(str(error)) if answer is None else answer)
        if isinstance(step, steps.Load):
            renew = step.renew
        frames = _frames(path, (QUESTION, POLICY, context))
        return _known(
            replace(self, sent=sent, step=step, renew=renew, answer=answer, resent=0, halves=(), frames=frames)
        )

    def _ended(self, answer: int | None) -> ReadActor:
        return _known(replace(self, sent=(), step=None, renew=None, answer=answer, done=True, frames=None))

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


class Raised(NamedTuple):
    """The result of a step that failed: an error to be thrown into the read path, always a new one."""

    error: type[CacheasideError]
    message: str = ""


def forget() -> None:
    """Forget all actors. Else one search would hold the memory of the one before."""
    ReadActor.after.cache_clear()
    _KNOWN.clear()


_KNOWN: Final[dict[Hashable, ReadActor]] = {}


def _known(reader: ReadActor) -> ReadActor:
    return _KNOWN.setdefault(reader.identity, reader)


def _resume(path: Generator[steps.Step, Any, Any], result: object) -> steps.Step:
    return path.throw(result.error(result.message)) if isinstance(result, Raised) else path.send(result)


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
    match value:
        case Entry():
            return (value.body, value.token, value.tag_versions, value.fresh_until_ms)
        case Failure():
            return (_hashable(value.error), value.token, value.tag_versions)
        case Exception():
            return (type(value), value.args)
        case Hashable():
            return value
        case _:
            return repr(value)


class WriteActor(NamedTuple):
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

    @cache  # noqa: B019
    def act(self, shared: SharedState, mutant: Mutant) -> tuple[str, SharedState, WriteActor]:
        """Do the next of the two transitions. Returns its description first."""
        commit = not self.committed if not mutant.invalidate_first else self.invalidated
        if commit:
            value = shared.value + 1
            after = shared.disturbed()._replace(value=value)
            return f"writer {self.number}: commit", after, self._replace(committed=value)
        return f"writer {self.number}: invalidate", shared.without("tag"), self._replace(invalidated=True)

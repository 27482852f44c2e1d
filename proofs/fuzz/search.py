"""Draws cases for a target until its time is over or a property breaks, and makes a broken case small.

Case number n has the seed `seed + n`. So a run that begins with the seed of a failure finds it at once.
"""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

from proofs.fuzz.choices import Choices
from proofs.fuzz.memory import bounded_memory
from proofs.fuzz.smallest import smallest
from proofs.fuzz.target import Target

__all__ = ["Failure", "Found", "check", "failure_of", "search"]

# Of one case. The first is CPU time of this thread, which other programs do not lengthen.
_CPU_AT_MOST_S: Final = 5.0
_WALL_AT_MOST_S: Final = 120.0
_SMALLER_FOR_S: Final = 60.0


class TookTooLong(AssertionError):
    """A case took more time than its size explains."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A broken property: the smallest case that breaks it, and which variable of `make fuzz` finds it again."""

    target: str
    case: str
    error: str
    variable: str

    def __str__(self) -> str:
        again = f"make fuzz TARGET={self.target} {self.variable}"
        return f"{self.target} does not hold for\n\n{self.case}\n\n{self.error}\nThe same again: {again}"


@dataclass(frozen=True, slots=True)
class Found:
    """A search: how many cases it ran, and the failure that ended it, if any."""

    target: str
    cases: int
    seconds: float
    failure: Failure | None


def check(target: Target, case: Any) -> None:
    """Run one case. Raises if a property of the target does not hold, or if it takes too much time or memory.

    A case that takes too much time is run once more: while a virtual machine is paused, the CPU time of a thread may
    jump.
    """
    try:
        _check_once(target, case)
    except TookTooLong:
        _check_once(target, case)


def _check_once(target: Target, case: Any) -> None:
    with _bounded_time(), bounded_memory(target.memory_mb):
        target.check(case)


def search(
    target: Target, seconds: float, seed: int, progress: Callable[[int, float], object], *, make_small: bool = True
) -> Found:
    """Run random cases of `target` for `seconds`, and tell `progress` each second how many and for how long.

    `make_small`: make a case small that breaks a property. That can take a minute.
    """
    began = shown = now = time.monotonic()
    cases, failure = 0, None
    while failure is None and (cases == 0 or now < began + seconds):
        choices = Choices.at_random(seed + cases)
        failure = failure_of(target, choices, f"SEED={seed + cases}", make_small=make_small)
        cases, now = cases + 1, time.monotonic()
        if now >= shown + 1:
            progress(cases, now - began)
            shown = now
    return Found(target.name, cases, now - began, failure)


def failure_of(
    target: Target, choices: Choices, variable: str | None = None, *, make_small: bool = True
) -> Failure | None:
    """Run one case, and make it small if it breaks a property. Returns None if all properties hold.

    `variable`: what `make fuzz` needs to find the case again. Default: CASE= with its bytes.
    """
    case, error = _run(target, choices)
    if error is None:
        return None

    def still_fails(data: bytes) -> bytes | None:
        again = Choices(data)
        return again.used if type(_run(target, again)[1]) is type(error) else None

    if make_small:
        smaller, its_error = _run(target, Choices(smallest(still_fails, choices.used, _SMALLER_FOR_S)))
        if its_error is not None:  # a failure that depends on earlier cases may not come again
            case, error = smaller, its_error
    text = "".join(traceback.format_exception(error, limit=-12))
    return Failure(target.name, repr(case), text, variable or f"CASE={choices.used.hex() or '00'}")


def _run(target: Target, choices: Choices) -> tuple[Any, Exception | None]:
    case = target.cases.draw(choices)
    try:
        check(target, case)
    except Exception as error:
        return case, error
    return case, None


@contextmanager
def _bounded_time() -> Iterator[None]:
    def stop(_: int, frame: FrameType | None) -> None:
        raise TookTooLong(f"more than {_WALL_AT_MOST_S:g} s\n{''.join(traceback.format_stack(frame, limit=8))}")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, _WALL_AT_MOST_S)
    began = time.thread_time()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    took = time.thread_time() - began
    if took > _CPU_AT_MOST_S:
        raise TookTooLong(f"{took:.1f} s of CPU, and at most {_CPU_AT_MOST_S:g} s are allowed")

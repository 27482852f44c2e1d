"""Draws cases for a target until its time is over or a property breaks, and makes a broken case small.

Batch number n has the seed `seed + n`. So a failure is found again by a run that begins with the seed of its batch.
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

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as with_seed

from proofs.fuzz.memory import bounded_memory
from proofs.fuzz.target import Target

__all__ = ["Failure", "Found", "check", "search"]

# Of one case. The first is CPU time of this thread, which other programs do not lengthen.
_CPU_AT_MOST_S: Final = 5.0
_WALL_AT_MOST_S: Final = 120.0


class _TimeIsOver(BaseException):
    """No Exception: Hypothesis takes those for broken properties."""


class TookTooLong(AssertionError):
    """A case took more time than its size explains."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A broken property: the smallest case that breaks it, and the seed of the batch that found it."""

    target: str
    seed: int
    case: str
    error: str

    def __str__(self) -> str:
        again = f"make fuzz TARGET={self.target} SEED={self.seed}"
        return f"{self.target} does not hold for\n\n{self.case}\n\n{self.error}\nThe same again: {again}"


@dataclass(frozen=True, slots=True)
class Found:
    """A search: how many cases it ran, and the failure that ended it, if any."""

    target: str
    cases: int
    seconds: float
    failure: Failure | None


def check(target: Target, case: Any) -> None:
    """Run one case. Raises if a property of the target does not hold, or if it takes too much time or memory."""
    with _bounded_time(), bounded_memory(target.memory_mb):
        target.check(case)


def search(
    target: Target, seconds: float, seed: int, progress: Callable[[int, float], object], *, smallest: bool = True
) -> Found:
    """Run random cases of `target` for `seconds`, and tell `progress` how many and for how long.

    `smallest`: make a case small that breaks a property. That can take minutes.
    """
    began = time.monotonic()
    cases, failure = 0, None
    while failure is None and (cases == 0 or time.monotonic() < began + seconds):
        ran, failure = _batch(target, seed, began + seconds, smallest)
        seed, cases = seed + 1, cases + ran
        progress(cases, time.monotonic() - began)
    return Found(target.name, cases, time.monotonic() - began, failure)


def _batch(target: Target, seed: int, ends: float, smallest: bool) -> tuple[int, Failure | None]:
    ran = 0
    last: Any = None

    @with_seed(seed)
    @settings(
        max_examples=target.batch,
        phases=[Phase.generate, *([Phase.shrink] if smallest else [])],
        database=None,
        deadline=None,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(target.cases)
    def run(case: Any) -> None:
        nonlocal ran, last
        if ran and last is None and time.monotonic() > ends:
            raise _TimeIsOver
        ran += 1
        try:
            check(target, case)
        except Exception:
            last = case  # the last that fails is the smallest
            raise

    try:
        run()
    except _TimeIsOver:
        return ran, None
    except Exception as error:
        return ran, Failure(target.name, seed, repr(last), "".join(traceback.format_exception(error, limit=-12)))
    return ran, None


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

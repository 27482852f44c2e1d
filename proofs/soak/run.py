"""One soak: start the stack and the load, take samples, and return the report."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.callers import Call, Callers
from proofs.soak.load import load
from proofs.soak.report import SoakReport, in_order
from proofs.soak.samples import Sampler
from proofs.soak.stack import SoakStack, soak_stack
from proofs.soak.trend import BLOCKS

__all__ = ["soak"]

_WARM_UP: Final = 0.2  # of the time
_SAMPLES_AT_MOST: Final = 720  # one every five seconds of an hour
_SAMPLES_AT_LEAST: Final = 2 * BLOCKS  # after the warm-up
_SHORTEST_PAUSE_S: Final = 0.5
# At least as many sandboxes as the load and two sweeps keep busy, so that none starts later.
_QUERY, _COMMAND, _INVALIDATE = 6, 3, 4


def soak(seconds: float, progress: Callable[[int, int], None], functions: Path | None = None) -> SoakReport:
    """Soak for so long. `progress` is told how many seconds are over, of how many."""
    with soak_stack(functions) as stack:
        _start_sandboxes(stack)
        times: list[float] = []
        series: dict[str, list[float]] = {}
        warm: set[int] = set()
        pause_s = max(seconds / _SAMPLES_AT_MOST, _SHORTEST_PAUSE_S)
        with load(stack) as tally, Sampler(stack) as sampler:
            began = time.monotonic()
            due, judged = began, 0
            # Where the machine stalls, samples are rare, and it takes longer.
            while (passed := time.monotonic() - began) < seconds or judged < _SAMPLES_AT_LEAST:
                judged += passed >= seconds * _WARM_UP
                times.append(passed)
                for name, value in sampler.take().items():
                    series.setdefault(name, []).append(value)
                if passed >= seconds * _WARM_UP and not warm:
                    warm = _sandboxes(stack)
                progress(min(int(passed), int(seconds)), int(seconds))
                # Samples that were missed are not made up for: many at one moment would tell no more than one.
                due = max(due + pause_s, time.monotonic())
                time.sleep(max(due - time.monotonic(), 0))
        replaced = len(warm ^ _sandboxes(stack))
        progress(int(seconds), int(seconds))
        return SoakReport(times, in_order(series), seconds * _WARM_UP, tally.requests, dict(tally.unexpected), replaced)


def _sandboxes(stack: SoakStack) -> set[int]:
    return {pid for part, pids in stack.processes().items() if part.endswith("sandboxes") for pid in pids}


def _start_sandboxes(stack: SoakStack) -> None:
    """Start as many sandboxes of each function as the load could need."""
    calls = [
        *(Call(f"/queries/too_slow?id={-number}") for number in range(_QUERY)),
        *(Call("/commands/set_price", {"id": number + 1, "price": 1}) for number in range(_COMMAND)),
        *(Call("/invalidations", {"tags": ["customers"]}) for _ in range(_INVALIDATE)),
    ]
    Callers(stack.port).at_once(calls)

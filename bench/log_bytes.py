"""`python -m bench.log_bytes [SECONDS]`: what the function writes to its log for each hit, at different rates.

It counts standard output and error of a sandbox, and not the START, END and REPORT lines, which Lambda writes itself.
One more hit, after a pause, ends each rate: so that metrics that were only collected are written too.
"""

from __future__ import annotations

import time
from typing import Final

from bench.figures import Figure, Results, run
from bench.query_stack import ANSWERS, HIT, QueryStack, event, source
from bench.sandbox import Sandbox
from local.progress import Progress

__all__ = ["SECONDS", "measure"]

SECONDS: Final = 10
_RATES: Final = (10, 50, 1)  # hits a second
_PAUSE_S: Final = 1.1
# In front of a slow query the function waits longer for the cache, so that on a busy machine each call is a hit too.
_REQUEST: Final = event("slow", rows=ANSWERS["0.2 kB"], ms=1000)
_AIM: Final = 30
_AIM_FROM: Final = 10  # hits a second


def measure(stack: QueryStack, size: int) -> Results:
    """Send hits for `size` seconds at each rate."""
    figures, rows = [], []
    with Sandbox(stack) as sandbox:
        sandbox.invoke(_REQUEST)
        for rate in _RATES:
            written = sandbox.log.stat().st_size
            sources = _hits(sandbox, rate, size)
            assert set(sources) == {HIT}
            written = sandbox.log.stat().st_size - written
            aim = _AIM if rate >= _AIM_FROM else None
            label = f"{rate} hits a second of one query"
            figures.append(Figure.count("log, bytes of a hit", label, "", written / len(sources), aim))
            rows.append((str(rate), str(len(sources)), f"{written:,}"))
    return Results(figures, ("hits a second", "hits", "bytes"), rows)


def _hits(sandbox: Sandbox, rate: int, seconds: int) -> list[str]:
    """Return the source of each answer."""
    progress = Progress(f"log, {rate} hits a second")
    began, sources = time.perf_counter(), []
    for number in range(rate * seconds):
        time.sleep(max(began + number / rate - time.perf_counter(), 0))
        sources.append(source(sandbox.invoke(_REQUEST)))
        progress(number + 1, rate * seconds)
    time.sleep(_PAUSE_S)
    return [*sources, source(sandbox.invoke(_REQUEST))]


if __name__ == "__main__":
    run(measure, SECONDS)

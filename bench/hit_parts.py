"""`python -m bench.hit_parts [HITS]`: the parts of a hit of 0.2 kB, with their time and function calls, by cProfile.

Profiled, each function call takes longer. So parts with many small functions look larger than they are.
"""

from __future__ import annotations

import cProfile
import pstats
from collections import defaultdict
from pathlib import PurePath
from typing import Final

from bench.figures import Results, run
from bench.query_stack import ANSWERS, HIT, QueryStack, event, import_handler, source
from bench.unbuffered_log import unbuffered_log

__all__ = ["HITS", "measure"]

HITS: Final = 5_000
_SYSTEM_CALLS: Final = ("_socket.socket", "select.poll")
_PACKAGES: Final = ("redis", "hiredis")
_OURS: Final = {
    "drivers": "our drivers: deadline, breaker, one exchange",
    "reading": "the read path: decode, judge, decide",
    "http": "HTTP: route, question, headers, conditions",
    "runtime": "runtime: metrics, tasks after the response",
}
_OTHER: Final = "other: catalogue, clock, standard library, built-in functions"


def measure(stack: QueryStack, size: int) -> Results:
    """Profile `size` hits."""
    handler, request = import_handler(stack), event("answer", rows=ANSWERS["0.2 kB"])
    profile = cProfile.Profile()
    with unbuffered_log():
        for _ in range(100):
            response = handler(request)
        assert source(response) == HIT
        profile.enable()
        for _ in range(size):
            handler(request)
        profile.disable()
    seconds: dict[str, float] = defaultdict(float)
    calls: dict[str, int] = defaultdict(int)
    for (file, _, name), (_, called, own_s, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        part = _part(PurePath(file), name)
        seconds[part] += own_s
        calls[part] += called
    whole = sum(seconds.values())
    by_share = sorted(seconds, key=lambda part: -seconds[part])
    rows = [(part, f"{seconds[part] / whole:.0%}", f"{calls[part] / size:.0f}") for part in by_share]
    return Results([], ("part", "of the time", "calls a hit"), rows)


def _part(file: PurePath, name: str) -> str:
    if any(each in name for each in _SYSTEM_CALLS):
        return "system calls: send, receive, poll"
    if any(each in file.parts or each in name for each in _PACKAGES):
        return "redis-py and hiredis: pack, parse"
    _, _, below = file.as_posix().rpartition("/cacheaside/")
    return _OURS.get(below.partition("/")[0], _OTHER)


if __name__ == "__main__":
    run(measure, HITS)

"""The model of PostgreSQL: cores that all running loads share equally, so that each is slower the more there are.

Each load needs the same work, in milliseconds of a core. While there are more loads than cores, each gets its share of
a core. So a clock of work runs at that share, and a load ends when the clock has moved on by the work that it needs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final

from cacheaside.errors import Overloaded, StatementTimeout
from cacheaside.reading.steps import Load, Loaded
from proofs.simulator.events import Loop

__all__ = ["Database"]

# As decision 8 says: more loads than these that bypass the cache are refused.
_BYPASSES_AT_MOST: Final = 10
_REFUSED_AFTER_MS: Final = 1.0
_ROUNDING_MS: Final = 1e-6


class _Running:
    __slots__ = ("body", "is_over", "load", "reply")

    def __init__(self, load: Load, body: bytes, reply: Callable[[Any], object]) -> None:
        self.load, self.body, self.reply, self.is_over = load, body, reply, False


class Database:
    """`committed` has the number of writes to each row, by its id. An answer is that number when its load began.

    `starts_ms` has the time at which each load began, `loads` their number by row, `running` their number now.
    """

    def __init__(self, loop: Loop, work_ms: float, cores: float) -> None:
        self._loop = loop
        self._work_ms = work_ms
        self._cores = cores
        self._worked_ms = 0.0  # the clock of work
        self._read_ms = 0.0  # when that clock was read last
        self._queue: list[tuple[float, int, _Running]] = []
        self._numbers = count()
        self._schedule = 0  # only the newest event is valid
        self._bypasses = 0
        self.running = 0
        self.starts_ms: list[float] = []
        self.loads: Counter[Any] = Counter()
        self.committed: Counter[Any] = Counter()

    def load(self, load: Load, reply: Callable[[Any], object]) -> None:
        """Begin `load`, and call `reply` with `Loaded`, StatementTimeout, or Overloaded if it bypasses the cache."""
        if load.bypass and self._bypasses >= _BYPASSES_AT_MOST:
            self._loop.after(_REFUSED_AFTER_MS, reply, Overloaded("too many loads bypass the cache"))
            return
        self._read_clock()
        self.running += 1
        self._bypasses += load.bypass
        self.starts_ms.append(self._loop.now_ms)
        row = load.question.values["id"]
        self.loads[row] += 1
        running = _Running(load, str(self.committed[row]).encode(), reply)
        heappush(self._queue, (self._worked_ms + self._work_ms, next(self._numbers), running))
        self._loop.after(load.timeout_ms, self._time_out, running)
        self._plan()

    def _time_out(self, running: _Running) -> None:
        if not running.is_over:
            self._read_clock()
            self._end(running, StatementTimeout("canceling statement due to statement timeout"))
            self._plan()

    def _complete(self, schedule: int) -> None:
        if schedule != self._schedule:
            return
        self._read_clock()
        while self._queue and (self._queue[0][2].is_over or self._queue[0][0] <= self._worked_ms + _ROUNDING_MS):
            running = heappop(self._queue)[2]
            if not running.is_over:
                self._end(running, Loaded(running.body))
        self._plan()

    def _end(self, running: _Running, result: Any) -> None:
        running.is_over = True
        self.running -= 1
        self._bypasses -= running.load.bypass
        self._loop.after(0, running.reply, result)

    def _share(self) -> float:
        return min(1.0, self._cores / self.running) if self.running else 1.0

    def _read_clock(self) -> None:
        self._worked_ms += (self._loop.now_ms - self._read_ms) * self._share()
        self._read_ms = self._loop.now_ms

    def _plan(self) -> None:
        """Add the event of the next load that ends, if no other begins or ends before."""
        self._schedule += 1
        if self._queue:
            left_ms = max(0.0, self._queue[0][0] - self._worked_ms) / self._share()
            self._loop.after(left_ms, self._complete, self._schedule)

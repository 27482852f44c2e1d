"""The event loop: a virtual clock, and actions that are due at a time, in the order of their times."""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any

__all__ = ["Loop"]


class Loop:
    """Runs actions in the order of their times, and those of one time in the order in which they were added."""

    def __init__(self) -> None:
        self.now_ms = 0.0
        self._events: list[tuple[float, int, Callable[[Any], object], Any]] = []
        self._numbers = count()

    def at(self, at_ms: float, action: Callable[[Any], object], argument: Any = None) -> None:
        """Call `action` with `argument` at that time, which must not be in the past."""
        heappush(self._events, (at_ms, next(self._numbers), action, argument))

    def after(self, ms: float, action: Callable[[Any], object], argument: Any = None) -> None:
        """Call `action` with `argument` when that much time has passed."""
        heappush(self._events, (self.now_ms + ms, next(self._numbers), action, argument))

    def run(self, until_ms: float = math.inf) -> None:
        """Run all actions that are due until then, and those that they add. The clock then shows that time."""
        events = self._events
        while events and events[0][0] <= until_ms:
            self.now_ms, _, action, argument = heappop(events)
            action(argument)
        if until_ms < math.inf:
            self.now_ms = until_ms

"""When the cache failed over, for the observer and the checker."""

from __future__ import annotations

import time

__all__ = ["FailoverTimes"]


class FailoverTimes:
    """`begun` and `completed` are the times of each failover, in order. The newest may be incomplete."""

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.completed: list[float] = []

    def begin_failover(self) -> None:
        self.begun.append(time.monotonic())

    def complete_failover(self) -> None:
        self.completed.append(time.monotonic())

"""The wall clock, in the unit of the cache entries, and a clock for durations, which is never set."""

from __future__ import annotations

import time

__all__ = ["epoch_ms", "monotonic_ms"]


def epoch_ms() -> int:
    """Return the milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """Return milliseconds since some moment in the past. Only the difference of two values means anything."""
    return time.monotonic_ns() // 1_000_000

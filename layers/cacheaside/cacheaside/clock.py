"""The wall clock, in the unit of the cache entries."""

from __future__ import annotations

import time

__all__ = ["epoch_ms"]


def epoch_ms() -> int:
    """Return the milliseconds since the epoch."""
    return time.time_ns() // 1_000_000

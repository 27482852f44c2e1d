"""The wall clock, in the unit of the cache entries, and clocks for durations, which are never set."""

from __future__ import annotations

import time

__all__ = ["FreezeClock", "epoch_ms", "monotonic_ms"]


def epoch_ms() -> int:
    """Return the milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """Return milliseconds since some moment in the past. Only the difference of two values means anything."""
    return time.monotonic_ns() // 1_000_000


class FreezeClock:
    """A monotonic clock in ms that goes on while Lambda freezes the sandbox, when the system's may stand still.

    It always moves on by the larger step of that one and of the wall clock, which may be set back
    (https://github.com/hashicorp/vault-lambda-extension/pull/150).
    """

    def __init__(self) -> None:
        self._at_ms, self._last = 0, (monotonic_ms(), epoch_ms())

    def __call__(self) -> int:
        last, self._last = self._last, (monotonic_ms(), epoch_ms())
        self._at_ms += max(0, *(now - then for now, then in zip(self._last, last, strict=True)))
        return self._at_ms

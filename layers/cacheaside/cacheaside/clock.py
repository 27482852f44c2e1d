"""The clocks: the wall clock, in the unit of the cache entries, and one for durations."""

from __future__ import annotations

import time

__all__ = ["DurationClock", "epoch_ms"]


def epoch_ms() -> int:
    """Return the milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class DurationClock:
    """A clock in ms that is never set back, and that does not stop while Lambda freezes the sandbox.

    The wall clock may be set. The monotonic clock may stand still in a frozen sandbox
    (https://github.com/hashicorp/vault-lambda-extension/pull/150). So it always moves on by the larger of both steps.
    """

    def __init__(self) -> None:
        self._at_ms, self._last = 0, self._read()

    def __call__(self) -> int:
        last, self._last = self._last, self._read()
        self._at_ms += max(0, *(now - then for now, then in zip(self._last, last, strict=True)))
        return self._at_ms

    @staticmethod
    def _read() -> tuple[int, int]:
        return time.monotonic_ns() // 1_000_000, epoch_ms()

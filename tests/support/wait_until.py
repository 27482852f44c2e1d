"""Waiting for a condition, however slow this machine is at the moment."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["wait_until"]

_AT_MOST_S = 120


def wait_until(condition: Callable[[], object], at_most_s: float = _AT_MOST_S) -> None:
    """Return once `condition` returns a true value. Fails if it has not within that time."""
    deadline = time.monotonic() + at_most_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.02)

"""Waiting for what must become so, however slow the machine is just now."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["until"]

_PATIENCE_S = 120


def until(is_so: Callable[[], object]) -> None:
    """Return when it is so. Fails if it never is."""
    deadline = time.monotonic() + _PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)

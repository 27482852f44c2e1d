"""The peak of this process's memory during a block, where the kernel tells it (Linux)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["bounded_memory"]

_STATUS: Final = Path("/proc/self/status")
_RESET: Final = Path("/proc/self/clear_refs")


class TookTooMuchMemory(AssertionError):
    """A case took more memory than its size explains."""


@contextmanager
def bounded_memory(at_most_mb: int | None) -> Iterator[None]:
    """Raise TookTooMuchMemory if the block takes more than that in addition, at its peak."""
    if at_most_mb is None or not _RESET.exists():
        yield
        return
    _RESET.write_text("5")  # sets the peak to what is resident now
    before = _peak_mb()
    yield
    rise = _peak_mb() - before
    if rise > at_most_mb:
        raise TookTooMuchMemory(f"{rise:.0f} MB, and at most {at_most_mb} MB are allowed")


def _peak_mb() -> float:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024

"""Does work grow with the size of its input, or with the square of the size?"""

from __future__ import annotations

import time
from collections.abc import Callable

_TRIES = 10
# Work that takes less is mostly the system's, which gives it memory for the larger input.
_NOTHING_S = 0.01


def is_linear(work: Callable[[int], object], size: int) -> bool:
    """Whether ten times the size takes less than thirty times the CPU time. A square would take a hundred times.

    Other processes make CPU time vary. So one try of ten is enough, which a square does not pass.
    """
    return any(_cpu_s(work, 10 * size) < 30 * _cpu_s(work, size) + _NOTHING_S for _ in range(_TRIES))


def _cpu_s(work: Callable[[int], object], size: int) -> float:
    began = time.process_time()
    work(size)
    return time.process_time() - began

"""Sets the wall clock of a sandbox. Python imports this module at the start of a process that finds it on its path.

The clock file of a process holds the seconds to add, and is read at each look at the clock. The library takes the time
from `time.time_ns`, and its durations from a monotonic clock, which stays as it is.

libfaketime, which sets the clock of Valkey, cannot do this: under it `time.sleep` of Python raises OSError.
"""

from __future__ import annotations

import os
import time
from typing import Final

_FILE: Final = f"{os.environ['CHAOS_CLOCK']}.{os.getpid()}"
_S: Final = 1_000_000_000
_time_ns: Final = time.time_ns


def _set_time_ns() -> int:
    try:
        with open(_FILE, encoding="ascii") as file:  # noqa: PTH123  (pathlib would make each start slower)
            return _time_ns() + int(float(file.read()) * _S)
    except FileNotFoundError:
        return _time_ns()


time.time_ns = _set_time_ns
time.time = lambda: _set_time_ns() / _S

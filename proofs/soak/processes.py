"""What Linux tells about processes: their arguments, memory, file descriptors and threads."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["Use", "command_line", "use"]

_PROC: Final = Path("/proc")
# Memory that only this process could have allocated, shared by the number of its owners if it was forked. Pages of
# files and PostgreSQL's shared buffers are left out: they fill up by use, up to a limit that is set.
_ANONYMOUS: Final = re.compile(rb"^(?:Pss_Anon|SwapPss): +(\d+) kB$", re.MULTILINE)


class Use(NamedTuple):
    """What some processes use together."""

    megabytes: float
    descriptors: int
    threads: int


def use(pids: Iterable[int]) -> Use:
    """Return what the processes use. Those that have ended use nothing."""
    each = [found for pid in pids if (found := _use(pid)) is not None]
    megabytes, descriptors, threads = (sum(one[part] for one in each) for part in range(3))
    return Use(megabytes, int(descriptors), int(threads))


def command_line(pid: int) -> list[str]:
    """Return the arguments of a process, or none if it has ended."""
    try:
        return (_PROC / str(pid) / "cmdline").read_text().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def _use(pid: int) -> Use | None:
    folder = _PROC / str(pid)
    try:
        kilobytes = sum(map(int, _ANONYMOUS.findall((folder / "smaps_rollup").read_bytes())))
        descriptors, threads = (len(list((folder / each).iterdir())) for each in ("fd", "task"))
    except (FileNotFoundError, ProcessLookupError):
        return None
    return Use(kilobytes / 1024, descriptors, threads)

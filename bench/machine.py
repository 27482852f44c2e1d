"""The machine of a measurement, so that its figures can be judged."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

__all__ = ["machine"]


def machine() -> str:
    """Return CPU, cores, memory, kernel, and the versions of Python, of the servers and of redis-py, in one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{_cpu()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}; "
        f"Python {platform.python_version()}, redis-py {version('redis')}; Valkey 8 and PostgreSQL 18 on it too"
    )


def _cpu() -> str:
    """Return the model of the CPU. Linux names it in /proc; elsewhere its architecture must do."""
    path = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", path.read_text(), re.MULTILINE) if path.exists() else None
    return found[1] if found else platform.machine()

"""Processes and ports of this machine, from the operating system and without a dependency."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["HOST", "alive", "descendants", "free_port"]

HOST = "127.0.0.1"


def free_port() -> int:
    """Return a port that is free now. Another process may take it before the caller does: be ready to retry."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def descendants(pid: int) -> list[int]:
    """Return the children of `pid`, their children, and so on, in whatever session they are."""
    children: dict[int, list[int]] = {}
    for child, parent, _ in _processes():
        children.setdefault(parent, []).append(child)
    family = [pid]
    for member in family:
        family.extend(children.get(member, ()))
    return family[1:]


def alive(pid: int) -> bool:
    """Whether `pid` still runs. A zombie does not: it has no memory, file or port, only its exit status."""
    return any(found == pid and state not in "ZX" for found, _, state in _processes())


def _processes() -> Iterator[tuple[int, int, str]]:
    """Yield (pid, parent, state) of every process. Linux has /proc, and slim images have no `ps`."""
    if sys.platform != "linux":
        listing = subprocess.run(["ps", "-axo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
        for line in listing.stdout.splitlines():
            pid, parent, state = line.split()[:3]
            yield int(pid), int(parent), state[0]
        return
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text(errors="replace").rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        yield int(stat.parent.name), int(parent), state

"""Processes and ports of this machine, from the operating system and without a dependency."""

import errno
import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

__all__ = ["HOST", "alive", "descendants", "free_port", "reserved_ports"]

HOST = "127.0.0.1"

# Systems give clients ports from 32768 on (Linux) or from 49152 on, so none of these is taken by a connection.
# The tests choose those from 20000 to 29999 for other servers, before the servers listen on them.
_BLOCK = 100
_BLOCKS = range(30_000, 32_000, _BLOCK)


def free_port() -> int:
    """Return a port that is free now. Another process may take it before the caller does: be ready to retry."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def reserved_ports() -> Iterator[range]:
    """Yield successive ports that are free now. During the block no other caller of this function gets any of them.

    Raises OSError if there are no such ports.
    """
    for first in random.sample(_BLOCKS, len(_BLOCKS)):
        ports = range(first + 1, first + _BLOCK)
        with ExitStack() as held:
            try:
                held.enter_context(_bound(first))  # other callers find it in use
                for port in ports:
                    _bound(port).close()
            except OSError:
                continue
            yield ports
            return
    raise OSError(errno.EADDRINUSE, f"no {_BLOCK} successive ports are free")


def _bound(port: int) -> socket.socket:
    """Return a socket that has the port on all addresses, as the ports of containers are. Raises OSError."""
    bound = socket.socket()
    try:
        bound.bind(("", port))
    except OSError:
        bound.close()
        raise
    return bound


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

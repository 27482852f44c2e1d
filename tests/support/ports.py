"""Ports for processes that are given a port number before they listen on it."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from typing import Final

from local.servers.processes import HOST

__all__ = ["unclaimed_port"]

# Each worker of pytest-xdist, gw0 to gw9, has a thousand of its own: two workers never choose the same port.
_FIRST: Final = 20_000 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[-1]) * 1_000


def unclaimed_port() -> int:
    """Return a free port below the range from which systems assign ports, so that it stays free until it is opened."""
    while True:
        port = _FIRST + secrets.randbelow(1_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port

"""Ports for processes that are told theirs before they open it."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from typing import Final

from local.servers.processes import HOST

__all__ = ["unclaimed_port"]

# Workers of pytest-xdist, gw0 to gw9, have a thousand each: two never choose the same before either has opened it.
_FIRST: Final = 20_000 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[-1]) * 1_000


def unclaimed_port() -> int:
    """A free port below those that systems give away by themselves, so that it is still free when it is opened."""
    while True:
        port = _FIRST + secrets.randbelow(1_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port

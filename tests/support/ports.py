"""Ports for processes that are told theirs before they open it."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress

from local.servers.processes import HOST

__all__ = ["unclaimed_port"]


def unclaimed_port() -> int:
    """A free port below those that systems give away by themselves, so that it is still free when it is opened."""
    while True:
        port = 20_000 + secrets.randbelow(10_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port

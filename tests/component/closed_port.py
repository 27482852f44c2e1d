"""A port that refuses connections."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["closed_port"]


@contextmanager
def closed_port(port: int = 0) -> Iterator[socket.socket]:
    """A socket that has the port, so that nobody else can take it, and does not listen. Who wants to, may begin."""
    with socket.socket() as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(("127.0.0.1", port))
        yield door

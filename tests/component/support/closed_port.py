"""A port that refuses connections."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

__all__ = ["bound", "closed_port"]


def bound(port: int) -> socket.socket:
    """Return a socket that has the port, so that nobody else can take it, and does not listen."""
    door = socket.socket()
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    door.bind(("127.0.0.1", port))
    return door


@contextmanager
def closed_port(port: int = 0) -> Iterator[socket.socket]:
    """Have it for the block. Who wants to, may begin to listen."""
    with closing(bound(port)) as door:
        yield door

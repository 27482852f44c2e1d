"""Ports that refuse connections."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

__all__ = ["bind_port", "closed_port", "refusing_url"]


def bind_port(port: int) -> socket.socket:
    """Return a socket that is bound to the port and does not listen. So no other process can take the port."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener


@contextmanager
def closed_port(port: int = 0) -> Iterator[socket.socket]:
    """Keep a port closed for the block. Yields its socket, which the test may make listen."""
    with closing(bind_port(port)) as listener:
        yield listener


@contextmanager
def refusing_url() -> Iterator[str]:
    """Yield the URL of a cache whose port refuses connections."""
    with closed_port() as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}"

"""Ports that refuse connections."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

from bench.fault_proxy import bind_port

__all__ = ["closed_port", "refusing_url"]


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

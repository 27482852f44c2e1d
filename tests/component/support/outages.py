"""Outages of a server that end with the block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from local.servers.server import Server
from local.servers.valkey_cluster import ValkeyCluster

__all__ = ["OUTAGES", "frozen", "killed"]


@contextmanager
def frozen(server: Server | ValkeyCluster) -> Iterator[None]:
    """Within the block the server is stopped by SIGSTOP, so that it accepts connections and never answers."""
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@contextmanager
def killed(server: Server | ValkeyCluster) -> Iterator[None]:
    """Kill the server, and start it again after the block."""
    server.kill()
    try:
        yield
    finally:
        server.start()


OUTAGES: Final[Mapping[str, Callable[[Server], AbstractContextManager[None]]]] = {"kill": killed, "freeze": frozen}

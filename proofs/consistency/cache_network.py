"""The network before the cache of a run: a proxy before each node, which can slow, delay and lose single messages.

The proxies run in a process of their own. All other processes are forked, and a fork of the proxies' process would have
copies of their connections: a connection with a copy is not closed when the proxy closes it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Final

from bench.cache_proxy import CacheProxy, ProxyFault
from local.servers.processes import HOST
from proofs.consistency.history import fork

__all__ = ["CacheNetwork"]

_STOPPED_WITHIN_S: Final = 10.0


class CacheNetwork:
    """Start it before the processes that use it. Until `disturb` it only forwards."""

    def __init__(self) -> None:
        self._here, self._there = fork.Pipe()
        self.ports: Sequence[int] = ()  # of the proxies, in the order of the servers

    @property
    def url(self) -> str:
        """The address of the first node, as clients see it."""
        return f"redis://{HOST}:{self.ports[0]}"

    def start(self, server_ports: Sequence[int]) -> None:
        self._process = fork.Process(target=_run_proxies, args=(server_ports, self._there), daemon=True)
        self._process.start()
        self._there.close()  # so that `recv` raises EOFError when the process has ended
        self.ports = self._here.recv()

    def disturb(self, fault: ProxyFault) -> None:
        """Have all proxies inject `fault`, in place of the fault that they inject now."""
        self._apply(fault)

    def calm(self) -> Mapping[str, int]:
        """Have all proxies only forward. Returns how many commands and replies met faults so far, by kind."""
        return self._apply(ProxyFault())

    def stop(self) -> None:
        self._here.send(None)
        self._process.join(_STOPPED_WITHIN_S)
        self._process.kill()

    def _apply(self, fault: ProxyFault) -> Mapping[str, int]:
        self._here.send(fault)
        met: Mapping[str, int] = self._here.recv()
        return met


def _run_proxies(server_ports: Sequence[int], pipe: Connection) -> None:
    logging.disable()  # asyncio logs each write to a server that is dead, which is expected here
    with ExitStack() as exits:
        proxies = [exits.enter_context(CacheProxy(port)) for port in server_ports]
        pipe.send([proxy.port for proxy in proxies])
        while fault := pipe.recv():
            for proxy in proxies:
                proxy.fault = fault
            pipe.send({kind: sum(proxy.met[kind] for proxy in proxies) for kind in proxies[0].met})

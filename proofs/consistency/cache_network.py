"""The network before the cache of a run: a proxy before each node, which can slow, delay and lose single messages.

The proxies run in a process of their own. All other processes are forked, and a fork of the proxies' process would have
copies of their connections: a connection with a copy is not closed when the proxy closes it.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from enum import Enum
from functools import partial
from multiprocessing.connection import Connection
from typing import Final

from bench.cache_proxy import CacheProxy, ProxyFault
from local.servers.processes import HOST
from proofs.consistency.history import fork

__all__ = ["CacheNetwork", "FaultSteps", "Faults", "NetworkFault"]

# A fault in progress. Yields how many seconds to leave it like that; closing it ends the fault.
FaultSteps = Iterator[float]
# The weight and the action of each fault.
Faults = Mapping[Enum, tuple[int, Callable[[], FaultSteps]]]


class NetworkFault(Enum):
    SLOW = "slow: each command took 20 to 50 ms"
    COMMANDS_LATE = "slow: some commands took 300 ms"
    REPLIES_LATE = "slow: some replies took 300 ms"
    REPLIES_LOST = "lost some replies and their connections"


_DISTURBED_S: Final = (0.3, 0.8)
_STOPPED_WITHIN_S: Final = 10.0


class CacheNetwork:
    """Only forwards, except during its `faults`. Start it before the processes that use it."""

    def __init__(self) -> None:
        self._here, self._there = fork.Pipe()
        self.ports: Sequence[int] = ()  # of the proxies, in the order of the servers
        self.faults: Faults = {fault: (1, partial(self._disturb, fault)) for fault in NetworkFault}

    @property
    def url(self) -> str:
        """The address of the first node, as clients see it."""
        return f"redis://{HOST}:{self.ports[0]}"

    def start(self, server_ports: Sequence[int]) -> None:
        self._process = fork.Process(target=_run_proxies, args=(server_ports, self._there), daemon=True)
        self._process.start()
        self._there.close()  # so that `recv` raises EOFError when the process has ended
        self.ports = self._here.recv()

    def calm(self) -> Mapping[str, int]:
        """Only forward from now on. Returns how many commands and replies met faults so far, by kind."""
        return self._apply(ProxyFault())

    def stop(self) -> None:
        self._here.send(None)
        self._process.join(_STOPPED_WITHIN_S)
        self._process.kill()

    def _disturb(self, fault: NetworkFault) -> FaultSteps:
        self._apply(_proxy_fault(fault))
        try:
            yield random.uniform(*_DISTURBED_S)
        finally:
            self.calm()

    def _apply(self, fault: ProxyFault) -> Mapping[str, int]:
        self._here.send(fault)
        met: Mapping[str, int] = self._here.recv()
        return met


def _proxy_fault(fault: NetworkFault) -> ProxyFault:
    match fault:  # the library gives a call 200 ms, so it gives up what is late
        case NetworkFault.SLOW:
            return ProxyFault(command_s=random.uniform(0.02, 0.05))
        case NetworkFault.COMMANDS_LATE:
            return ProxyFault(late_s=0.3, late_commands=0.03)
        case NetworkFault.REPLIES_LATE:
            return ProxyFault(late_s=0.3, late_replies=0.03)
        case NetworkFault.REPLIES_LOST:
            return ProxyFault(lost_replies=0.03)


def _run_proxies(server_ports: Sequence[int], pipe: Connection) -> None:
    logging.disable()  # asyncio logs each write to a server that is dead, which is expected here
    with ExitStack() as exits:
        proxies = [exits.enter_context(CacheProxy(port)) for port in server_ports]
        pipe.send([proxy.port for proxy in proxies])
        while fault := pipe.recv():
            for proxy in proxies:
                proxy.fault = fault
            pipe.send({kind: sum(proxy.met[kind] for proxy in proxies) for kind in proxies[0].met})

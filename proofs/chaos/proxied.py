"""The network between the functions and the cache: a byte-level proxy before each node."""

from __future__ import annotations

from collections.abc import Sequence

from bench.fault_proxy import FaultProxy
from local.servers.processes import HOST
from proofs.consistency.cache_network import CacheNetwork

__all__ = ["ProxiedNetwork"]


class ProxiedNetwork(CacheNetwork):
    """A network whose proxies are in this process, so that a campaign can switch each of them."""

    def __init__(self) -> None:
        self.ports: Sequence[int] = ()
        self.faults = {}
        self.proxies: list[FaultProxy] = []

    def start(self, server_ports: Sequence[int]) -> None:
        self.proxies += [FaultProxy(HOST, port) for port in server_ports]
        self.ports = [proxy.port for proxy in self.proxies]

    def stop(self) -> None:
        for proxy in self.proxies:
            proxy.close()

"""The kinds of cache that a run can test, and the faults that `fault_injection` can inject into each.

All clients use it through `cache_network`. The nodes of a cluster tell them the ports of the proxies.
"""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Final, Protocol, Self

from cacheaside.settings import Authentication, CacheMode, CacheSettings
from local.servers.valkey import ValkeyServer
from local.servers.valkey_cluster import ValkeyCluster
from proofs.consistency.cache_network import CacheNetwork, Faults, FaultSteps
from proofs.consistency.replicated_valkey import ReplicatedValkey, execute

__all__ = [
    "CACHE_KINDS",
    "CacheFault",
    "CacheUnderTest",
    "ClusterUnderTest",
    "Failovers",
    "NodeUnderTest",
    "ReplicatedUnderTest",
    "UnnamedUnderTest",
]


class CacheFault(Enum):
    KILLED = "killed and started again, empty"
    FROZEN = "frozen and thawed"
    EMPTIED = "emptied"
    REPLICA_FROZEN = "replica frozen and thawed"
    FAILED_OVER = "failed over"
    FAILED_OVER_BEHIND = "failed over to a replica that lagged"


class Failovers(Protocol):
    """Is told when a failover begins, and when the new primary is there. `History` is one."""

    def begin_failover(self) -> None: ...
    def complete_failover(self) -> None: ...


_ANNOUNCED_WITHIN_S: Final = 30.0


class CacheUnderTest(ABC):
    """One cache, which runs within a `with` block, and the network before it. `faults` are those of the cache."""

    mode = CacheMode.NODE
    replicas = 0
    ttl = "700ms"
    between_faults_s = (0.3, 1.5)

    def __init__(
        self,
        server: ValkeyServer | ValkeyCluster | ReplicatedValkey,
        failovers: Failovers,
        network: CacheNetwork | None,
    ) -> None:
        self._server = server
        self._failovers = failovers
        self.network = network or CacheNetwork()
        self.faults: Faults = {
            CacheFault.KILLED: (3, self._kill),
            CacheFault.FROZEN: (3, self._freeze),
            CacheFault.EMPTIED: (3, self._empty),
        }

    def settings(self, replicas: int = 0) -> CacheSettings:
        return CacheSettings(
            url=self.network.url,
            authentication=Authentication.URL,
            region="",
            name="",
            mode=self.mode,
            replicas=replicas,
        )

    def __enter__(self) -> Self:
        self._server.start()
        self.network.start([node.port for node in self.nodes])
        return self

    def __exit__(self, *_: object) -> None:
        self.network.stop()
        self._server.stop()

    @property
    def nodes(self) -> Sequence[ValkeyServer]:
        """The nodes that clients use, each at an address that stays."""
        return [self._target()]

    @abstractmethod
    def _target(self) -> ValkeyServer:
        """Return the node that the next fault hits."""

    def _kill(self) -> FaultSteps:
        node = self._target()
        node.kill()
        try:
            yield random.uniform(0.0, 0.5)
        finally:
            node.start()

    def _freeze(self) -> FaultSteps:
        node = self._target()
        node.freeze()
        try:
            yield random.uniform(0.2, 2.0)
        finally:
            node.thaw()

    def _empty(self) -> FaultSteps:
        execute(self._target(), "FLUSHALL")
        yield 0.0


class NodeUnderTest(CacheUnderTest):
    def __init__(self, folder: Path, failovers: Failovers, network: CacheNetwork | None = None) -> None:
        self._node = ValkeyServer(folder)
        super().__init__(self._node, failovers, network)

    def _target(self) -> ValkeyServer:
        return self._node


class ClusterUnderTest(CacheUnderTest):
    mode = CacheMode.CLUSTER
    between_faults_s = (1.5, 5.0)  # a node that was killed refuses requests for its first 2 s

    def __init__(self, folder: Path, failovers: Failovers, network: CacheNetwork | None = None) -> None:
        self._cluster = ValkeyCluster(folder)
        super().__init__(self._cluster, failovers, network)

    def __enter__(self) -> Self:
        super().__enter__()
        self._announce_proxies()
        return self

    @property
    def nodes(self) -> Sequence[ValkeyServer]:
        return self._cluster.nodes

    def _announce_proxies(self) -> None:
        """Have each node tell clients the port of its proxy. Returns when all nodes know the ports of all proxies."""
        for node, port in zip(self._cluster.nodes, self.network.ports, strict=True):
            node.configure({"cluster-announce-port": str(port)})
        deadline = time.monotonic() + _ANNOUNCED_WITHIN_S
        while any(_announced_ports(node) != set(self.network.ports) for node in self._cluster.nodes):
            if time.monotonic() > deadline:
                raise TimeoutError("the nodes do not tell each other the ports of their proxies")
            time.sleep(0.05)

    def _target(self) -> ValkeyServer:
        return random.choice(self._cluster.nodes)


def _announced_ports(node: ValkeyServer) -> set[int]:
    return {port for _, _, (_, port, *_), *_ in execute(node, "CLUSTER", "SLOTS")}


class ReplicatedUnderTest(CacheUnderTest):
    replicas = 1
    ttl = "10s"  # an old answer must outlive the failover, which takes a while on a busy machine
    between_faults_s = (0.5, 3.0)  # longer, because little can be checked between a failover and its replay

    def __init__(self, folder: Path, failovers: Failovers, network: CacheNetwork | None = None) -> None:
        self.servers = ReplicatedValkey(folder)
        super().__init__(self.servers, failovers, network)
        self.faults = {
            **self.faults,
            CacheFault.REPLICA_FROZEN: (2, self._freeze_replica),
            CacheFault.FAILED_OVER: (5, self._fail_over),
            CacheFault.FAILED_OVER_BEHIND: (5, self._fail_over_behind),
        }

    def _target(self) -> ValkeyServer:
        return self.servers.primary

    def _freeze_replica(self) -> FaultSteps:
        self.servers.replica.freeze()
        try:
            yield random.uniform(0.1, 1.0)
        finally:
            self.servers.replica.thaw()

    def _fail_over(self) -> FaultSteps:
        self.replace_primary()
        yield 0.0

    def _fail_over_behind(self) -> FaultSteps:
        self.servers.cut_replication()
        try:
            yield random.uniform(0.0, 0.4)
        finally:
            self.replace_primary()

    def replace_primary(self) -> None:
        """Kill the primary and have the replica take its place, with the writes that reached it."""
        self._failovers.begin_failover()
        self.servers.fail_over()
        self._failovers.complete_failover()


class UnnamedUnderTest(ReplicatedUnderTest):
    """The same with a replica that the settings do not name. Only a replica that is connected takes over."""

    replicas = 0

    def _fail_over(self) -> FaultSteps:
        self.servers.await_replica()
        return super()._fail_over()

    def _fail_over_behind(self) -> FaultSteps:
        self.servers.await_replica()
        self.servers.jam_replication()
        try:
            yield 0.0  # the pause begins after the jam
            yield random.uniform(0.1, 0.4)
        finally:
            self.replace_primary()


CACHE_KINDS: Final[Mapping[str, Callable[[Path, Failovers, CacheNetwork | None], CacheUnderTest]]] = {
    "node": NodeUnderTest,
    "cluster": ClusterUnderTest,
    "pair": ReplicatedUnderTest,
    "unnamed-pair": UnnamedUnderTest,
}

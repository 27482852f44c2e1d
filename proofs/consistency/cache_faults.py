"""The kinds of cache that a run can test, and the faults that `fault_injection` can inject into each.

All clients use the cache through a network that can be disturbed. The nodes of a cluster tell them the ports of its
proxies.
"""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Final, Self

from bench.cache_proxy import ProxyFault
from cacheaside.settings import Authentication, CacheMode, CacheSettings
from local.servers.valkey import ValkeyServer
from local.servers.valkey_cluster import ValkeyCluster
from proofs.consistency.cache_network import CacheNetwork
from proofs.consistency.history import History
from proofs.consistency.replicated_valkey import ReplicatedValkey, execute

__all__ = [
    "CACHE_KINDS",
    "NETWORK_FAULTS",
    "CacheFault",
    "CacheUnderTest",
    "ClusterUnderTest",
    "Faults",
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
    SLOW = "slow: each command took 20 to 50 ms"
    COMMANDS_LATE = "late: some commands reached it after 300 ms"
    REPLIES_LATE = "late: some replies took 300 ms"
    REPLIES_LOST = "disconnected: some replies were lost with their connections"


# A fault in progress. Yields how many seconds to leave it like that; closing it ends the fault.
FaultSteps = Iterator[float]
# The weight and the action of each fault.
Faults = Mapping[CacheFault, tuple[int, Callable[[], FaultSteps]]]

# More than the 200 ms that the library gives a call, so what is late is also given up.
NETWORK_FAULTS: Final[Mapping[CacheFault, Callable[[], ProxyFault]]] = {
    CacheFault.SLOW: lambda: ProxyFault(command_s=random.uniform(0.02, 0.05)),
    CacheFault.COMMANDS_LATE: lambda: ProxyFault(late_commands=0.05, late_s=0.3),
    CacheFault.REPLIES_LATE: lambda: ProxyFault(late_replies=0.05, late_s=0.3),
    CacheFault.REPLIES_LOST: lambda: ProxyFault(lost_replies=0.03),
}
_DISTURBED_S: Final = (0.4, 1.2)
_ANNOUNCED_WITHIN_S: Final = 30.0


class CacheUnderTest(ABC):
    """One cache, which runs within a `with` block, and the network before it.

    `faults` are those of its servers, `network_faults` those of the network.
    """

    mode = CacheMode.NODE
    replicas = 0
    ttl = "700ms"
    between_faults_s = (0.3, 1.5)

    def __init__(self, server: ValkeyServer | ValkeyCluster | ReplicatedValkey, history: History) -> None:
        self._server = server
        self._history = history
        self.network = CacheNetwork()
        self.network_faults: Faults = {fault: (1, partial(self._disturb, fault)) for fault in NETWORK_FAULTS}
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
        self.network.start([node.port for node in self._nodes()])
        return self

    def __exit__(self, *_: object) -> None:
        self.network.stop()
        self._server.stop()

    def _nodes(self) -> Sequence[ValkeyServer]:
        """Return the nodes that clients use, each at an address that stays."""
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

    def _disturb(self, fault: CacheFault) -> FaultSteps:
        self.network.disturb(NETWORK_FAULTS[fault]())
        try:
            yield random.uniform(*_DISTURBED_S)
        finally:
            self.network.calm()


class NodeUnderTest(CacheUnderTest):
    def __init__(self, folder: Path, history: History) -> None:
        self._node = ValkeyServer(folder)
        super().__init__(self._node, history)

    def _target(self) -> ValkeyServer:
        return self._node


class ClusterUnderTest(CacheUnderTest):
    mode = CacheMode.CLUSTER
    between_faults_s = (1.5, 5.0)  # a node that was killed refuses requests for its first 2 s

    def __init__(self, folder: Path, history: History) -> None:
        self._cluster = ValkeyCluster(folder)
        super().__init__(self._cluster, history)

    def __enter__(self) -> Self:
        super().__enter__()
        self._announce_proxies()
        return self

    def _nodes(self) -> Sequence[ValkeyServer]:
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
    between_faults_s = (0.5, 3.0)  # longer, because little can be checked between a failover and its replay

    def __init__(self, folder: Path, history: History) -> None:
        self.servers = ReplicatedValkey(folder)
        super().__init__(self.servers, history)
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
        self._replace_primary()
        yield 0.0

    def _fail_over_behind(self) -> FaultSteps:
        self.servers.cut_replication()
        try:
            yield random.uniform(0.0, 0.4)
        finally:
            self._replace_primary()

    def _replace_primary(self) -> None:
        self._history.begin_failover()
        self.servers.fail_over()
        self._history.complete_failover()


class UnnamedUnderTest(ReplicatedUnderTest):
    """The same with a replica that the settings do not name. Only a replica that is connected takes over."""

    replicas = 0
    ttl = "10s"  # an old answer must outlive the jam, which takes a while

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
            self._replace_primary()


CACHE_KINDS: Final[Mapping[str, Callable[[Path, History], CacheUnderTest]]] = {
    "node": NodeUnderTest,
    "cluster": ClusterUnderTest,
    "pair": ReplicatedUnderTest,
    "unnamed-pair": UnnamedUnderTest,
}

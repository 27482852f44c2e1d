"""An embedded cluster: three Valkey primaries that share the slots, without replicas.

    start, stop, kill, freeze, thaw    as of `Server`, for all nodes
    nodes                              each a `ValkeyServer`, to be killed, frozen and so on alone
    moving                             a slot on its way from one node to another

A node that is down takes only its own slots with it, as on ElastiCache.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.retry import Retry

from local.servers.processes import HOST, free_port
from local.servers.server import START_LIMIT, StartFailed
from local.servers.valkey import ValkeyServer

__all__ = ["ValkeyCluster"]

SLOTS = 16_384
PRIMARIES = 3
SETTINGS = {
    "cluster-enabled": "yes",
    "cluster-node-timeout": "2000",
    "cluster-require-full-coverage": "no",
}


class ValkeyCluster:
    name = "Valkey cluster"

    def __init__(self, folder: Path, *, settings: Mapping[str, str] | None = None, version: int = 8) -> None:
        self.nodes = [
            # By itself the bus takes the port plus 10,000, which may be none, or somebody else's.
            ValkeyServer(
                folder / str(number),
                settings={**SETTINGS, "cluster-port": str(free_port()), **(settings or {})},
                version=version,
            )
            for number in range(PRIMARIES)
        ]

    @property
    def url(self) -> str:
        """Any node leads to all others; this is the first."""
        return self.nodes[0].url

    def start(self) -> None:
        """Return once every slot is served and every node knows it, about 2 s. Raises `StartFailed`."""
        try:
            for node in self.nodes:
                node.start()
            self._introduce()
            self._await()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()

    def freeze(self) -> None:
        for node in self.nodes:
            node.freeze()

    def thaw(self) -> None:
        for node in self.nodes:
            node.thaw()

    def owner(self, key: str) -> ValkeyServer:
        """The node that serves the slot of `key`."""
        slot = key_slot(key.encode())
        with _client(self.nodes[0]) as client:
            for first, last, (_, port, *_), *_ in _ask(client, "SLOTS"):
                if first <= slot <= last:
                    return next(node for node in self.nodes if node.port == port)
        raise LookupError(f"nobody serves slot {slot}")

    @contextmanager
    def moving(self, key: str, to: ValkeyServer) -> Iterator[None]:
        """Move the slot of `key`: within the block it is on its way, its keys gone ahead (ASK); then there (MOVED)."""
        slot, source = key_slot(key.encode()), self.owner(key)
        with _client(source) as giving, _client(to) as taking:
            giver, taker = _ask(giving, "MYID").decode(), _ask(taking, "MYID").decode()
            _ask(taking, "SETSLOT", slot, "IMPORTING", giver)
            _ask(giving, "SETSLOT", slot, "MIGRATING", taker)
            if keys := _ask(giving, "GETKEYSINSLOT", slot, 1000):
                giving.execute_command("MIGRATE", HOST, to.port, "", 0, 5000, "KEYS", *keys)
            yield
            for node in (to, source, *(node for node in self.nodes if node not in (to, source))):
                with _client(node) as client:
                    _ask(client, "SETSLOT", slot, "NODE", taker)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _introduce(self) -> None:
        """Give each node its share of the slots, and tell the first of the others: the rest is gossip.

        After a kill they know already, from a file of their own.
        """
        bounds = [SLOTS * number // PRIMARIES for number in range(PRIMARIES + 1)]
        with _client(self.nodes[0]) as first:
            if _ask(first, "SLOTS"):
                return
            for number, node in enumerate(self.nodes):
                with _client(node) as client:
                    _ask(client, "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
                    _ask(client, "SET-CONFIG-EPOCH", number + 1)
                    _ask(first, "MEET", HOST, node.port, client.config_get("cluster-port")["cluster-port"])

    def _await(self) -> None:
        deadline = time.monotonic() + START_LIMIT
        for node in self.nodes:
            with _client(node) as client:
                while not _complete(client):
                    if time.monotonic() > deadline:
                        raise StartFailed(f"{self.name}: node {node.port} did not learn of all slots")
                    time.sleep(0.02)


def _complete(client: redis.Redis) -> bool:
    info = _ask(client, "INFO").decode()
    return f"cluster_slots_ok:{SLOTS}" in info and f"cluster_known_nodes:{PRIMARIES}" in info and "_state:ok" in info


def _client(node: ValkeyServer) -> redis.Redis:
    return redis.Redis(HOST, node.port, socket_timeout=5, retry=Retry(NoBackoff(), 0), protocol=2, driver_info=None)


def _ask(client: redis.Redis, *words: str | int) -> Any:
    """The answer to a CLUSTER command as it came: redis-py reworks only those that are given to it as one word."""
    return client.execute_command("CLUSTER", *words)  # type: ignore[no-untyped-call]

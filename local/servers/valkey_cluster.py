"""An embedded cluster: three Valkey primaries that share the slots, without replicas.

    start, stop, kill, freeze, thaw    as of `Server`, for all nodes
    nodes                              each a `ValkeyServer`, to be killed, frozen and so on alone
    moving                             moves a slot from one node to another

Without one node the slots of the others are still served, as on ElastiCache.
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
            # The default bus port is the port plus 10,000, which may be above 65,535 or in use.
            ValkeyServer(
                folder / str(number),
                settings={**SETTINGS, "cluster-port": str(free_port()), **(settings or {})},
                version=version,
            )
            for number in range(PRIMARIES)
        ]

    @property
    def url(self) -> str:
        """The URL of the first node. A client learns of the others from any node."""
        return self.nodes[0].url

    def start(self) -> None:
        """Return when every slot is served and every node knows it, after about 2 s. Raises `StartFailed`."""
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
        """Return the node that serves the slot of `key`. Raises `LookupError`."""
        slot = key_slot(key.encode())
        with _client(self.nodes[0]) as client:
            for first, last, (_, port, *_), *_ in _cluster_command(client, "SLOTS"):
                if first <= slot <= last:
                    return next(node for node in self.nodes if node.port == port)
        raise LookupError(f"no node serves slot {slot}")

    @contextmanager
    def moving(self, key: str, to: ValkeyServer) -> Iterator[None]:
        """Move the slot of `key` to `to`: within the block only its keys have moved (ASK), then the slot (MOVED)."""
        slot, source = key_slot(key.encode()), self.owner(key)
        with _client(source) as giving, _client(to) as taking:
            giver, taker = _cluster_command(giving, "MYID").decode(), _cluster_command(taking, "MYID").decode()
            _cluster_command(taking, "SETSLOT", slot, "IMPORTING", giver)
            _cluster_command(giving, "SETSLOT", slot, "MIGRATING", taker)
            if keys := _cluster_command(giving, "GETKEYSINSLOT", slot, 1000):
                giving.execute_command("MIGRATE", HOST, to.port, "", 0, 5000, "KEYS", *keys)
            yield
            for node in (to, source, *(node for node in self.nodes if node not in (to, source))):
                with _client(node) as client:
                    _cluster_command(client, "SETSLOT", slot, "NODE", taker)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _introduce(self) -> None:
        """Give each node its slots, and introduce the first node to the others: gossip does the rest.

        After a kill the nodes know each other from their own files.
        """
        bounds = [SLOTS * number // PRIMARIES for number in range(PRIMARIES + 1)]
        with _client(self.nodes[0]) as first:
            if _cluster_command(first, "SLOTS"):
                return
            for number, node in enumerate(self.nodes):
                with _client(node) as client:
                    _cluster_command(client, "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
                    _cluster_command(client, "SET-CONFIG-EPOCH", number + 1)
                    _cluster_command(first, "MEET", HOST, node.port, client.config_get("cluster-port")["cluster-port"])

    def _await(self) -> None:
        deadline = time.monotonic() + START_LIMIT
        for node in self.nodes:
            with _client(node) as client:
                while not _complete(client):
                    if time.monotonic() > deadline:
                        raise StartFailed(f"{self.name}: node {node.port} does not know all slots")
                    time.sleep(0.02)


def _complete(client: redis.Redis) -> bool:
    info = _cluster_command(client, "INFO").decode()
    return f"cluster_slots_ok:{SLOTS}" in info and f"cluster_known_nodes:{PRIMARIES}" in info and "_state:ok" in info


def _client(node: ValkeyServer) -> redis.Redis:
    return redis.Redis(HOST, node.port, socket_timeout=5, retry=Retry(NoBackoff(), 0), protocol=2, driver_info=None)


def _cluster_command(client: redis.Redis, *words: str | int) -> Any:
    """Return the raw answer: redis-py parses only the answer of a command that is given as one word."""
    return client.execute_command("CLUSTER", *words)  # type: ignore[no-untyped-call]

"""A primary and its replica, with a network between the two that can be cut."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from bench.fault_proxy import Fault, FaultProxy, fault_proxy
from cacheaside.reading.keys import tag_key
from local.servers.valkey import ValkeyServer
from tests.support.wait_until import wait_until

__all__ = ["Pair", "replicated_pair", "version"]


@dataclass(frozen=True)
class Pair:
    """A primary, its replica, and the network between the two."""

    primary: ValkeyServer
    replica: ValkeyServer
    network: FaultProxy

    def catch_up(self) -> None:
        with redis.Redis.from_url(self.primary.url) as primary:
            primary.set("last", "write")
            wait_until(lambda: primary.wait(1, 100) == 1)

    def cut_network(self) -> None:
        """Lose all that the primary sends from now on. (A frozen replica would still receive it after it thaws.)"""
        self.network.switch(Fault.HALF_OPEN)

    def fail_over(self) -> None:
        """Kill the primary, and make the replica the primary with the data that it has."""
        self.primary.kill()
        with redis.Redis.from_url(self.replica.url) as replica:
            replica.replicaof("NO", "ONE")


@contextmanager
def replicated_pair(folder: Path) -> Iterator[Pair]:
    """Run the pair within the block. The replica has caught up when it begins."""
    with ExitStack() as exits:
        primary = exits.enter_context(ValkeyServer(folder / "primary", settings={"repl-diskless-sync-delay": "0"}))
        replica = exits.enter_context(ValkeyServer(folder / "replica"))
        network, url = exits.enter_context(fault_proxy(primary.url))
        with redis.Redis.from_url(replica.url) as client:
            client.replicaof("127.0.0.1", url.rpartition(":")[2])
        pair = Pair(primary, replica, network)
        pair.catch_up()
        yield pair


def version(server: ValkeyServer, tag: str) -> bytes | None:
    """Return the version of a tag that a server has."""
    with redis.Redis.from_url(server.url) as client:
        found: bytes | None = client.get(tag_key(tag))
        return found

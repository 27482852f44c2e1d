"""The kinds of cache that a run can have, and what can happen to each."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Final, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cacheaside.settings import Authentication, CacheMode, CacheSettings
from local.servers.valkey import ValkeyServer
from local.servers.valkey_cluster import ValkeyCluster
from proofs.consistency.ledger import Ledger
from proofs.consistency.pair import ValkeyPair

__all__ = ["KINDS", "Cluster", "Kind", "Node", "Pair", "Trouble"]


class Trouble(Enum):
    """What happens to a cache."""

    KILLED = "killed and started again, empty"
    FROZEN = "frozen and thawed"
    EMPTIED = "emptied"
    REPLICA_FROZEN = "replica frozen and thawed"
    FAILED_OVER = "failed over"
    FAILED_OVER_BEHIND = "failed over to a replica that lagged"


# What is on its way: each number is how many seconds to leave it like that.
Happening = Iterator[float]


class Kind:
    """One cache, running within a `with` block. `trouble` tells how often each thing happens, and does it."""

    mode = CacheMode.NODE
    replicas = 0
    calm_s = (0.3, 1.5)  # between two troubles

    def __init__(self, server: ValkeyServer | ValkeyCluster | ValkeyPair, ledger: Ledger) -> None:
        self._server = server
        self._ledger = ledger
        self.trouble: Mapping[Trouble, tuple[int, Callable[[], Happening]]] = {
            Trouble.KILLED: (3, self._kill),
            Trouble.FROZEN: (3, self._freeze),
            Trouble.EMPTIED: (3, self._empty),
        }

    def settings(self, replicas: int = 0) -> CacheSettings:
        return CacheSettings(
            url=self._server.url,
            authentication=Authentication.URL,
            region="",
            name="",
            mode=self.mode,
            replicas=replicas,
        )

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def _node(self) -> ValkeyServer:
        """Whom it happens to."""
        raise NotImplementedError

    def _kill(self) -> Happening:
        node = self._node()
        node.kill()
        try:
            yield random.uniform(0.0, 0.5)
        finally:
            node.start()

    def _freeze(self) -> Happening:
        node = self._node()
        node.freeze()
        try:
            yield random.uniform(0.2, 2.0)
        finally:
            node.thaw()

    def _empty(self) -> Happening:
        with redis.Redis.from_url(self._node().url, socket_timeout=30, retry=Retry(NoBackoff(), 0)) as client:
            client.flushall()
        yield 0.0


class Node(Kind):
    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self._only = ValkeyServer(folder)
        super().__init__(self._only, ledger)

    def _node(self) -> ValkeyServer:
        return self._only


class Cluster(Kind):
    mode = CacheMode.CLUSTER
    calm_s = (1.5, 5.0)  # a node that was killed serves nobody for its first 2 s

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self._all = ValkeyCluster(folder)
        super().__init__(self._all, ledger)

    def _node(self) -> ValkeyServer:
        return random.choice(self._all.nodes)


class Pair(Kind):
    replicas = 1
    calm_s = (0.5, 3.0)  # in a window little can be checked

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.pair = ValkeyPair(folder)
        super().__init__(self.pair, ledger)
        self.trouble = {
            **self.trouble,
            Trouble.REPLICA_FROZEN: (2, self._freeze_replica),
            Trouble.FAILED_OVER: (5, self._fail_over),
            Trouble.FAILED_OVER_BEHIND: (5, self._fail_over_behind),
        }

    def _node(self) -> ValkeyServer:
        return self.pair.primary

    def _freeze_replica(self) -> Happening:
        self.pair.replica.freeze()
        try:
            yield random.uniform(0.1, 1.0)
        finally:
            self.pair.replica.thaw()

    def _fail_over(self) -> Happening:
        self._replace_primary()
        yield 0.0

    def _fail_over_behind(self) -> Happening:
        self.pair.cut()
        try:
            yield random.uniform(0.0, 0.4)
        finally:
            self._replace_primary()

    def _replace_primary(self) -> None:
        self._ledger.failover_begins()
        self.pair.fail_over()
        self._ledger.failover_is_over()


KINDS: Final[Mapping[str, Callable[[Path, Ledger], Kind]]] = {"node": Node, "cluster": Cluster, "pair": Pair}

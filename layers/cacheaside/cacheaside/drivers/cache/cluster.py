"""Commands to a cluster: each goes to the server of its slot, in one write per server.

redis-py keeps the connections and the map of the cluster (its NodesManager). This module sends the commands. redis-py's
RedisCluster would react to an error by sending one command after the other, asking for the map in between and sleeping
250 ms. It would also open with COMMAND, whose reply takes longer to parse than all the rest of opening takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import redis
from redis.cluster import ClusterNode, NodesManager
from redis.crc import key_slot
from redis.exceptions import AskError, ClusterDownError, MovedError, SlotNotCoveredError

from cacheaside.drivers.cache.deadline import call_deadline, opening
from cacheaside.drivers.cache.exchange import (
    FAILURES,
    CacheCommand,
    NodeLost,
    exchange,
    raise_errors,
    split_into_calls,
)
from cacheaside.drivers.cache.options import Connections, address, connection_options
from cacheaside.drivers.cache.replicas import Replicas
from cacheaside.settings import CacheSettings

__all__ = ["Cluster"]

# A slot that moves answers with a redirect. More of them in a row mean that the cluster's slot map is inconsistent.
_REDIRECTS: Final = 3


class Cluster:
    """The servers of a cluster, found from any of them when the first command is sent. See `client.Client`."""

    clustered = True

    def __init__(self, settings: CacheSettings) -> None:
        self._settings = settings
        self._options = connection_options(settings)
        self._nodes: NodesManager | None = None
        self._lost: str | None = None  # the node that failed last; the others may know which server has its slots now

    def run(
        self, commands: Sequence[CacheCommand], *, again: bool = True, replicas: Replicas | None = None
    ) -> list[Any]:
        with call_deadline(), self._noting_lost_nodes():
            nodes = self._mapped()
            replies: dict[int | None, Any] = dict.fromkeys(range(len(commands)))
            waiting = list(range(len(commands)))
            for _ in range(1 + _REDIRECTS):
                self._send(nodes, {index: commands[index] for index in waiting}, replies, again, replicas)
                waiting = [index for index in waiting if isinstance(replies[index], AskError)]
                if not waiting:
                    break
            return raise_errors([replies[index] for index in range(len(commands))])

    def run_apart(self, commands: Sequence[CacheCommand], *, replicas: Replicas | None = None) -> list[Any]:
        shares: dict[str, list[int]] = {}
        with call_deadline(), self._noting_lost_nodes():
            nodes = self._mapped()
        for index, command in enumerate(commands):
            shares.setdefault(_owners_name(nodes, command.key), []).append(index)
        replies: dict[int, Any] = {}
        failures: list[Exception] = []
        for share in shares.values():
            try:
                for some in split_into_calls(share):
                    got = self.run([commands[index] for index in some], replicas=replicas)
                    replies.update(zip(some, got, strict=True))
            except FAILURES as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return [replies[index] for index in range(len(commands))]

    def ask_primaries(self, *words: str | bytes | int) -> list[Any]:
        replies: list[Any] = []
        failures: list[Exception] = []
        with call_deadline(), self._noting_lost_nodes():
            number = len(_primaries(self._mapped()))
        for each in range(number):
            try:
                replies.append(self.ask_primary(each, *words))
            except FAILURES as error:
                replies.append(None)
                failures.append(error)
        if len(failures) == number:
            raise failures[0]
        return replies

    def ask_primary(self, number: int, *words: str | bytes | int) -> Any:
        with call_deadline(), self._noting_lost_nodes():
            nodes = self._mapped()
            primaries = sorted(_primaries(nodes), key=lambda node: str(node.name))
            pool = _pool(nodes, primaries[number % len(primaries)])
            return raise_errors(exchange({pool: [words]}, again=True)[0])[0]

    def forget(self) -> None:
        if self._nodes is not None:
            self._nodes.close()
        self._nodes = self._lost = None

    def _send(
        self,
        nodes: NodesManager,
        commands: Mapping[int, CacheCommand],
        replies: dict[int | None, Any],
        again: bool,
        replicas: Replicas | None,
    ) -> None:
        """Send each command to the server of its slot, or to the one that its last reply names. Adds to `replies`."""
        plan: dict[redis.ConnectionPool, list[tuple[int | None, tuple[Any, ...]]]] = {}
        for index, command in commands.items():
            match replies[index]:
                case MovedError() as moved:
                    nodes.move_slot(moved)
                    lines = plan.setdefault(_pool(nodes, _owner(nodes, command.key)), [])
                case AskError() as asked:  # for this command only: the slot is still moving
                    lines = plan.setdefault(_pool(nodes, _asked(nodes, asked)), [])
                    lines.append((None, ("ASKING",)))
                case _:
                    lines = plan.setdefault(_pool(nodes, _owner(nodes, command.key)), [])
            lines.append((index, command.words))
        send = replicas.exchange if replicas else exchange
        words = {pool: [line for _, line in lines] for pool, lines in plan.items()}
        for lines, got in zip(plan.values(), send(words, again=again), strict=True):
            replies.update((index, reply) for (index, _), reply in zip(lines, got, strict=True))

    def _mapped(self) -> NodesManager:
        """Return the map of the cluster. It is read when first needed, and again after a node has failed."""
        host, port = address(self._settings)
        if self._nodes is None:
            with opening():
                start = [ClusterNode(host, port)]  # type: ignore[no-untyped-call]
                # from_url: its connections get our options alone, among them the class of connection.
                self._nodes = NodesManager(start, from_url=True, connection_pool_class=Connections, **self._options)
        elif self._lost is not None:
            self._nodes.initialize(
                additional_startup_nodes_info=[(host, port)],
                disconnect_startup_nodes_pools=False,
                last_failed_node_name=self._lost,
            )
            self._lost = None
        return self._nodes

    @contextmanager
    def _noting_lost_nodes(self) -> Iterator[None]:
        try:
            yield
        except NodeLost as error:
            self._lost = error.node
            raise
        except (ClusterDownError, SlotNotCoveredError):
            self._lost = ""  # no single node
            raise


def _owners_name(nodes: NodesManager, key: str) -> str:
    try:
        return str(_owner(nodes, key).name)
    except SlotNotCoveredError:  # no server has the slot now; the command itself will get the error
        return ""


def _owner(nodes: NodesManager, key: str) -> ClusterNode:
    return nodes.get_node_from_slot(key_slot(key.encode()))


def _primaries(nodes: NodesManager) -> list[ClusterNode]:
    primaries: list[ClusterNode] = nodes.get_nodes_by_server_type("primary")
    return primaries


def _asked(nodes: NodesManager, error: AskError) -> ClusterNode:
    known = nodes.get_node(error.host, error.port)
    # A node that has no slot yet is not on the map.
    return known or ClusterNode(error.host, error.port)  # type: ignore[no-untyped-call]


def _pool(nodes: NodesManager, node: ClusterNode) -> redis.ConnectionPool:
    if node.redis_connection is None:
        nodes.create_redis_connections([node])  # type: ignore[no-untyped-call]
    pool: redis.ConnectionPool = node.redis_connection.connection_pool
    return pool

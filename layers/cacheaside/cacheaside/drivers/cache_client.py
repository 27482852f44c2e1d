"""How commands get to the one node, or to the nodes, of a cache, and their replies back.

    Node       all commands to one server, in one write
    Cluster    each command to the server of its slot, in one write per server, all before the first reply is awaited

redis-py keeps the connections and the map of the cluster (its NodesManager). How commands are sent is ours: redis-py's
RedisCluster would answer trouble by sending one command after the other, asking for the map between them and sleeping
250 ms. It would also open with COMMAND, whose answer takes four times as long as all the rest of opening a cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, Protocol

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, NodesManager
from redis.crc import key_slot
from redis.exceptions import AskError, ClusterDownError, MovedError, SlotNotCoveredError
from redis.retry import Retry

from cacheaside.drivers.bounded import deadline, opening
from cacheaside.drivers.cache_connections import CALL_S, Lost, address, connection_options, exchange, no_errors
from cacheaside.settings import CacheMode, CacheSettings

__all__ = ["Client", "Command", "NotReplicated", "connect"]

# A slot that moves while we ask sends us on; to be sent on more often than this is a cluster that has lost its head.
_REDIRECTIONS: Final = 3
# A replica confirms in about a round trip. One that has not in this time is away, or far behind.
_CONFIRM_MS: Final = 50


class NotReplicated(redis.RedisError):
    """The write was done, but too few replicas have it: if one takes over, it may be undone."""


class Command(NamedTuple):
    """What to send, and the key whose slot says where to."""

    key: str
    words: tuple[str | bytes | int, ...]


class Client(Protocol):
    """One call is one deadline of `CALL_S`. Both methods raise redis-py's errors."""

    clustered: bool

    def run(self, commands: Sequence[Command], *, again: bool = True, replicas: int = 0) -> list[Any]:
        """Return the reply to each command, or raise the first that is an error.

        `again`: if a kept connection turns out to have died, everything is sent once more on a new one.
        `replicas`: of each server, that must confirm what was written, or NotReplicated is raised.
        """

    def ask_primaries(self, *words: str | bytes | int) -> list[Any]:
        """Return what every server that takes writes replies."""

    def ask_primary(self, number: int, *words: str | bytes | int) -> Any:
        """Return what one of them replies. They are numbered; after the last one comes the first again."""

    def forget(self) -> None:
        """Close all connections. Never raises."""


def connect(settings: CacheSettings) -> Client:
    """Return a client of the kind that the settings name. Connections are opened when they are first needed."""
    return Node(settings) if settings.mode is CacheMode.NODE else Cluster(settings)


class Node:
    """One server."""

    clustered = False

    def __init__(self, settings: CacheSettings) -> None:
        host, port = address(settings)
        retry = Retry(NoBackoff(), 0)
        self._pool = redis.ConnectionPool(host=host, port=port, retry=retry, **connection_options(settings))

    def run(self, commands: Sequence[Command], *, again: bool = True, replicas: int = 0) -> list[Any]:
        lines = [command.words for command in commands] + _confirmation(replicas)
        with deadline(CALL_S):
            replies = exchange({self._pool: lines}, again=again)[0]
        return _confirmed(no_errors(replies), replicas)

    def ask_primaries(self, *words: str | bytes | int) -> list[Any]:
        with deadline(CALL_S):
            return no_errors(exchange({self._pool: [words]}, again=True)[0])

    def ask_primary(self, number: int, *words: str | bytes | int) -> Any:
        return self.ask_primaries(*words)[0]

    def forget(self) -> None:
        self._pool.disconnect()


class Cluster:
    """The servers of a cluster, found from any of them when the first command is sent."""

    clustered = True

    def __init__(self, settings: CacheSettings) -> None:
        self._settings = settings
        self._options = connection_options(settings)
        self._nodes: NodesManager | None = None
        self._lost: str | None = None  # the node that failed us last: others may know who has its slots now

    def run(self, commands: Sequence[Command], *, again: bool = True, replicas: int = 0) -> list[Any]:
        with deadline(CALL_S), self._noting_who_fails():
            nodes = self._mapped()
            replies: dict[int | None, Any] = dict.fromkeys(range(len(commands)))
            waiting = list(range(len(commands)))
            for _ in range(1 + _REDIRECTIONS):
                self._send(nodes, {index: commands[index] for index in waiting}, replies, again, replicas)
                waiting = [index for index in waiting if isinstance(replies[index], AskError)]
                if not waiting:
                    break
            return no_errors([replies[index] for index in range(len(commands))])

    def ask_primaries(self, *words: str | bytes | int) -> list[Any]:
        with deadline(CALL_S), self._noting_who_fails():
            nodes = self._mapped()
            everyone = {_pool(nodes, node): [words] for node in _primaries(nodes)}
            return [no_errors(replies)[0] for replies in exchange(everyone, again=True)]

    def ask_primary(self, number: int, *words: str | bytes | int) -> Any:
        with deadline(CALL_S), self._noting_who_fails():
            nodes = self._mapped()
            primaries = sorted(_primaries(nodes), key=lambda node: str(node.name))
            pool = _pool(nodes, primaries[number % len(primaries)])
            return no_errors(exchange({pool: [words]}, again=True)[0])[0]

    def forget(self) -> None:
        if self._nodes is not None:
            self._nodes.close()
        self._nodes = self._lost = None

    def _send(
        self,
        nodes: NodesManager,
        commands: Mapping[int, Command],
        replies: dict[int | None, Any],
        again: bool,
        replicas: int,
    ) -> None:
        """Send each command where it belongs, or where its last reply says, and put down what comes back."""
        plan: dict[redis.ConnectionPool, list[tuple[int | None, tuple[Any, ...]]]] = {}
        for index, command in commands.items():
            match replies[index]:
                case MovedError() as moved:
                    nodes.move_slot(moved)
                    lines = plan.setdefault(_pool(nodes, _owner(nodes, command.key)), [])
                case AskError() as asked:  # this once: the slot is still on its way
                    lines = plan.setdefault(_pool(nodes, _asked(nodes, asked)), [])
                    lines.append((None, ("ASKING",)))
                case _:
                    lines = plan.setdefault(_pool(nodes, _owner(nodes, command.key)), [])
            lines.append((index, command.words))
        words = {pool: [line for _, line in lines] + _confirmation(replicas) for pool, lines in plan.items()}
        for lines, got in zip(plan.values(), exchange(words, again=again), strict=True):
            got = _confirmed(got, replicas)
            replies.update((index, reply) for (index, _), reply in zip(lines, got, strict=True))

    def _mapped(self) -> NodesManager:
        """Return the map of the cluster: made when first needed, and again after a node has failed."""
        host, port = address(self._settings)
        if self._nodes is None:
            with opening():
                start = [ClusterNode(host, port)]  # type: ignore[no-untyped-call]
                # from_url: its connections are made of our options alone, by the class among them.
                self._nodes = NodesManager(start, from_url=True, **self._options)
        elif self._lost is not None:
            self._nodes.initialize(
                additional_startup_nodes_info=[(host, port)],
                disconnect_startup_nodes_pools=False,
                last_failed_node_name=self._lost,
            )
            self._lost = None
        return self._nodes

    @contextmanager
    def _noting_who_fails(self) -> Iterator[None]:
        try:
            yield
        except Lost as error:
            self._lost = error.node
            raise
        except (ClusterDownError, SlotNotCoveredError):
            self._lost = ""  # nobody in particular
            raise


def _confirmation(replicas: int) -> list[tuple[Any, ...]]:
    """What to send after writes, on the same connection: the server answers for what came over that one."""
    return [("WAIT", replicas, _CONFIRM_MS)] if replicas else []


def _confirmed(replies: list[Any], replicas: int) -> list[Any]:
    """Return the replies to the writes. Raises NotReplicated, or the error that came instead of a confirmation."""
    if not replicas:
        return replies
    *written, confirmed = replies
    if no_errors([confirmed])[0] < replicas:
        raise NotReplicated(f"{confirmed} of {replicas} replicas have confirmed")
    return written


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

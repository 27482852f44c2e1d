"""One exchange with servers of the cache: all commands are written before a reply is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import redis
from redis.cluster import get_node_name
from redis.exceptions import RedisClusterException

from cacheaside.drivers.cache.deadline import ValueTooLarge, too_large

__all__ = [
    "FAILURES",
    "Batches",
    "CacheCommand",
    "NodeLost",
    "NotReplicated",
    "exchange",
    "raise_errors",
    "split_into_calls",
    "wait_for_replicas",
]

_T = TypeVar("_T")

# The smallest node executes this many well within the time of one call.
_COMMANDS_PER_CALL: Final = 500
# A replica confirms in about one round trip. If it needs longer, it is lost or far behind.
_CONFIRM_MS: Final = 50

# All that can go wrong. Besides its own errors, redis-py lets through the errors of its parser and of its map of a
# cluster, if a server sends bytes that are not Redis protocol, or no such map.
FAILURES: Final = (
    *(redis.RedisError, RedisClusterException, OSError),
    *(ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError, MemoryError),
    SystemError,  # of the parser, which is in C, for redirects without an address in a reply not yet complete
)

# The commands for each server.
Batches = Mapping[redis.ConnectionPool, Sequence[tuple[Any, ...]]]


class CacheCommand(NamedTuple):
    """The words to send, and the key whose slot decides which server gets them."""

    key: str
    words: tuple[str | bytes | int, ...]


class NotReplicated(redis.RedisError):
    """The write was done, but too few replicas have it. If one of the others takes over, the write may be undone."""


class NodeLost(redis.ConnectionError):
    """A node did not answer. `died`: its connection was a kept one that had ended, so a new one may work."""

    def __init__(self, pool: redis.ConnectionPool, died: bool) -> None:
        self.node = get_node_name(pool.connection_kwargs["host"], pool.connection_kwargs["port"])
        self.died = died
        super().__init__(f"no answer from {self.node}")


def exchange(batches: Batches, *, again: bool) -> list[list[Any]]:
    """Return the replies to each batch, in order. An error that a server replied is returned as a value.

    `again`: if a kept connection turns out to have died, everything is sent once more on new ones. Raises NodeLost, or
    ValueTooLarge.
    """
    try:
        return _exchange_once(batches)
    except NodeLost as error:
        if not (again and error.died):
            raise
    return _exchange_once(batches)


def _exchange_once(batches: Batches) -> list[list[Any]]:
    borrowed: dict[redis.ConnectionPool, Any] = {}
    replies: list[list[Any]] = []
    try:
        for pool, lines in batches.items():
            connection: Any = pool.get_connection()
            borrowed[pool] = connection
            connection.send_packed_command(connection.pack_commands(lines), check_health=False)
        for pool, lines in batches.items():
            replies.append([_reply(borrowed[pool]) for _ in lines])
    except (redis.ConnectionError, redis.TimeoutError) as error:
        if too_large(error):
            raise ValueTooLarge("the time of the call was over before a large value had passed") from error
        # A timeout is not a dead connection: asking again would only double the wait.
        died = pool in borrowed and borrowed[pool].kept and isinstance(error, redis.ConnectionError)
        raise NodeLost(pool, died) from error
    finally:
        for number, (pool, connection) in enumerate(borrowed.items()):
            if number >= len(replies):  # its replies may still arrive, and the next request must not read them
                connection.disconnect()
            pool.release(connection)
    return replies


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except redis.ReadOnlyError as error:  # this server is a replica now; a new connection leads to the primary
        raise redis.ConnectionError("no longer the primary") from error
    except redis.ResponseError as error:
        return error


def raise_errors(replies: list[Any]) -> list[Any]:
    """Return the replies, or raise the first that is an error."""
    for reply in replies:
        if isinstance(reply, redis.ResponseError):
            raise reply
    return replies


def split_into_calls(commands: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Yield `commands` in parts, each small enough for one call."""
    return (commands[start : start + _COMMANDS_PER_CALL] for start in range(0, len(commands), _COMMANDS_PER_CALL))


def wait_for_replicas(replicas: int) -> list[tuple[Any, ...]]:
    """Return the command to send after writes, on the same connection: WAIT covers only the writes of its own."""
    return [("WAIT", replicas, _CONFIRM_MS)] if replicas else []

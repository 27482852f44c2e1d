"""Connections to the servers of a cache, and how commands cross them: all are written before a reply is awaited."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

import redis
from redis.cluster import get_node_name
from redis.credentials import CredentialProvider
from redis.exceptions import RedisClusterException

from cacheaside.drivers.cache.deadline import BoundedConnection, BoundedSSLConnection, deadline, tls
from cacheaside.drivers.iam import cache_token, lambda_credentials
from cacheaside.settings import Authentication, CacheMode, CacheSettings

__all__ = [
    "CALL_S",
    "FAILURES",
    "Batches",
    "Command",
    "Lost",
    "NotReplicated",
    "address",
    "call",
    "calls",
    "confirmation",
    "confirmed",
    "connection_options",
    "exchange",
    "no_errors",
]

_T = TypeVar("_T")

# The cache must never cost more than it saves.
CALL_S: Final = 0.2
# A cold start pays for opening connections once. What this costs where a cache does not answer, a breaker bounds.
_OPENING_S: Final = 1.0
# What the smallest of nodes does well within a call.
_OF_ONE_CALL: Final = 500
# A replica confirms in about a round trip. One that has not in this time is away, or far behind.
_CONFIRM_MS: Final = 50

# All that can go wrong. Besides its own errors, redis-py lets through what its parser makes of an answer that is no
# Redis protocol.
FAILURES: Final = (
    *(redis.RedisError, RedisClusterException, OSError),
    *(ValueError, TypeError, LookupError, OverflowError, RecursionError),
)

# The commands for each server.
Batches = Mapping[redis.ConnectionPool, Sequence[tuple[Any, ...]]]


class Command(NamedTuple):
    """What to send, and the key whose slot says where to."""

    key: str
    words: tuple[str | bytes | int, ...]


class NotReplicated(redis.RedisError):
    """The write was done, but too few replicas have it: if one takes over, it may be undone."""


class Lost(redis.ConnectionError):
    """A node did not answer. `died`: it was a kept connection that had ended, so a new one may do better."""

    def __init__(self, pool: redis.ConnectionPool, died: bool) -> None:
        self.node = get_node_name(pool.connection_kwargs["host"], pool.connection_kwargs["port"])
        self.died = died
        super().__init__(f"no answer from {self.node}")


def exchange(batches: Batches, *, again: bool) -> list[list[Any]]:
    """Return the replies to each batch, in order; an error that is a server's reply is returned as one.

    `again`: if a kept connection turns out to have died, everything is sent once more on new ones. Raises Lost.
    """
    try:
        return _exchange_once(batches)
    except Lost as error:
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
            connection.send_packed_command(connection.pack_commands(lines))
        for pool, lines in batches.items():
            replies.append([_reply(borrowed[pool]) for _ in lines])
    except (redis.ConnectionError, redis.TimeoutError) as error:
        # Silence is not death: asking again would only double the wait.
        died = pool in borrowed and borrowed[pool].kept and isinstance(error, redis.ConnectionError)
        raise Lost(pool, died) from error
    finally:
        for number, (pool, connection) in enumerate(borrowed.items()):
            if number >= len(replies):  # what it was asked may still be answered, to whoever gets it next
                connection.disconnect()
            pool.release(connection)
    return replies


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except redis.ReadOnlyError as error:  # it was the primary once; a new connection leads to the one that is
        raise redis.ConnectionError("no longer the primary") from error
    except redis.ResponseError as error:
        return error


def no_errors(replies: list[Any]) -> list[Any]:
    """Return the replies, or raise the first that is an error."""
    for reply in replies:
        if isinstance(reply, redis.ResponseError):
            raise reply
    return replies


def call() -> AbstractContextManager[None]:
    """Return the limit in time of one call."""
    return deadline(CALL_S, opening_s=_OPENING_S)


def calls(commands: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Give `commands` in parts that each are one call."""
    return (commands[start : start + _OF_ONE_CALL] for start in range(0, len(commands), _OF_ONE_CALL))


def confirmation(replicas: int) -> list[tuple[Any, ...]]:
    """What to send after writes, on the same connection: the server answers for what came over that one."""
    return [("WAIT", replicas, _CONFIRM_MS)] if replicas else []


def confirmed(replies: list[Any], replicas: int) -> list[Any]:
    """Return the replies to the writes. Raises NotReplicated, or the error that came instead of a confirmation."""
    if not replicas:
        return replies
    *written, confirmed = replies
    if no_errors([confirmed])[0] < replicas:
        raise NotReplicated(f"{confirmed} of {replicas} replicas have confirmed")
    return written


def address(settings: CacheSettings) -> tuple[str, int]:
    """Return host and port."""
    url = urlsplit(settings.url)
    return url.hostname or "", url.port or 6379


def connection_options(settings: CacheSettings) -> dict[str, Any]:
    """Return what every connection is made of, but its host, port and retries."""
    url = urlsplit(settings.url)
    iam = settings.authentication is Authentication.IAM
    encrypted = url.scheme == "rediss"
    if encrypted:
        tls()  # now, while Lambda starts the function, not when a request waits for it
    return {
        "connection_class": BoundedSSLConnection if encrypted else BoundedConnection,
        "username": None if iam else _or_none(url.username),
        "password": None if iam else _or_none(url.password),
        "credential_provider": _IamCredentials(settings, _or_none(url.username) or "") if iam else None,
        "socket_timeout": CALL_S,
        # RESP 2 and no client name: opening a connection takes no round trip but AUTH.
        "protocol": 2,
        "driver_info": None,
    }


def _or_none(part: str | None) -> str | None:
    return unquote(part) if part else None


class _IamCredentials(CredentialProvider):
    """Signs a new token each time that a connection is opened."""

    def __init__(self, settings: CacheSettings, user: str) -> None:
        self._settings = settings
        self._user = user

    def get_credentials(self) -> tuple[str, str]:
        region, name = self._settings.region, self._settings.name
        serverless = self._settings.mode is CacheMode.SERVERLESS
        return self._user, cache_token(lambda_credentials(), region, name, self._user, serverless=serverless)

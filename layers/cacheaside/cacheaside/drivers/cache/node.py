"""How commands get to a cache, and their replies back: to one node here, to those of a cluster by `cache_cluster`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cacheaside.drivers.cache.cluster import Cluster
from cacheaside.drivers.cache.exchange import (
    Command,
    address,
    call,
    calls,
    confirmation,
    confirmed,
    connection_options,
    exchange,
    no_errors,
)
from cacheaside.settings import CacheMode, CacheSettings

__all__ = ["Client", "connect"]


class Client(Protocol):
    """One call is one deadline of `CALL_S`. All methods but `forget` raise redis-py's errors."""

    clustered: bool

    def run(self, commands: Sequence[Command], *, again: bool = True, replicas: int = 0) -> list[Any]:
        """Return the reply to each command, or raise the first that is an error.

        `again`: if a kept connection turns out to have died, everything is sent once more on a new one.
        `replicas`: of each server, that must confirm what was written, or NotReplicated is raised.
        """

    def run_apart(self, commands: Sequence[Command], *, replicas: int = 0) -> list[Any]:
        """Return the same as `run`, of any number of commands, by as many calls as that takes.

        No server that fails keeps others from doing their share: the first error is raised when all have been asked.
        """

    def ask_primaries(self, *words: str | bytes | int) -> list[Any]:
        """Return what every server that takes writes replies, None for one that fails. Raises if all do."""

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
        lines = [command.words for command in commands] + confirmation(replicas)
        with call():
            replies = exchange({self._pool: lines}, again=again)[0]
        return confirmed(no_errors(replies), replicas)

    def run_apart(self, commands: Sequence[Command], *, replicas: int = 0) -> list[Any]:
        return [reply for some in calls(commands) for reply in self.run(some, replicas=replicas)]

    def ask_primaries(self, *words: str | bytes | int) -> list[Any]:
        with call():
            return no_errors(exchange({self._pool: [words]}, again=True)[0])

    def ask_primary(self, number: int, *words: str | bytes | int) -> Any:
        return self.ask_primaries(*words)[0]

    def forget(self) -> None:
        self._pool.disconnect()

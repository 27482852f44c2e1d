"""Commands to a cache of one node, or to the primary of a replication group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.backoff import NoBackoff
from redis.retry import Retry

from cacheaside.drivers.cache.deadline import call_deadline
from cacheaside.drivers.cache.exchange import CacheCommand, exchange, raise_errors, split_into_calls
from cacheaside.drivers.cache.options import Connections, address, connection_options
from cacheaside.drivers.cache.replicas import Replicas
from cacheaside.settings import CacheSettings

__all__ = ["Node"]


class Node:
    """One server. See `client.Client` for the methods."""

    clustered = False

    def __init__(self, settings: CacheSettings) -> None:
        host, port = address(settings)
        retry = Retry(NoBackoff(), 0)
        self._pool = Connections(host=host, port=port, retry=retry, **connection_options(settings))

    def run(
        self, commands: Sequence[CacheCommand], *, again: bool = True, replicas: Replicas | None = None
    ) -> list[Any]:
        send = replicas.exchange if replicas else exchange
        with call_deadline():
            return raise_errors(send({self._pool: [command.words for command in commands]}, again=again)[0])

    def run_apart(self, commands: Sequence[CacheCommand], *, replicas: Replicas | None = None) -> list[Any]:
        return [reply for some in split_into_calls(commands) for reply in self.run(some, replicas=replicas)]

    def ask_primaries(self, *words: str | bytes | int) -> list[Any]:
        with call_deadline():
            return raise_errors(exchange({self._pool: [words]}, again=True)[0])

    def ask_primary(self, number: int, *words: str | bytes | int) -> Any:
        return self.ask_primaries(*words)[0]

    def forget(self) -> None:
        self._pool.disconnect()

"""The client of a cache, of one node or of a cluster, and the protocol that both follow.

Cache, TagCache ──► Client ─┬─ Node     one server
                            └─ Cluster  each command to the server of its slot
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from cacheaside.drivers.cache.cluster import Cluster
from cacheaside.drivers.cache.deadline import ValueTooLarge
from cacheaside.drivers.cache.exchange import FAILURES, CacheCommand
from cacheaside.drivers.cache.node import Node
from cacheaside.drivers.cache.replicas import Replicas
from cacheaside.errors import CacheUnavailable, EntryTooLarge
from cacheaside.settings import CacheMode, CacheSettings

__all__ = ["Client", "key_command", "only_cache_unavailable", "open_client", "zeros_and_ones"]


class Client(Protocol):
    """Each call has one deadline (see `deadline`). All methods but `forget` raise redis-py's errors."""

    clustered: bool

    def run(
        self, commands: Sequence[CacheCommand], *, again: bool = True, replicas: Replicas | None = None
    ) -> list[Any]:
        """Return the reply to each command, or raise the first that is an error.

        `again`: if a kept connection turns out to have died, everything is sent once more on a new one.
        `replicas`: those of each server must confirm the commands, which write, or NotReplicated is raised.
        """

    def run_apart(self, commands: Sequence[CacheCommand], *, replicas: Replicas | None = None) -> list[Any]:
        """Return the same as `run`, for any number of commands, with as many calls as that takes.

        A server that fails does not keep the others from doing their share. Then the first error is raised.
        """

    def ask_primaries(self, *words: str | bytes | int) -> list[Any]:
        """Return the reply of every primary, None for one that fails. Raises if all fail."""

    def ask_primary(self, number: int, *words: str | bytes | int) -> Any:
        """Return the reply of one primary. They are numbered; after the last one comes the first again."""

    def forget(self) -> None:
        """Close all connections. Never raises."""


def open_client(settings: CacheSettings) -> Client:
    """Return a client of the kind that the settings name. It opens connections when it first needs them."""
    return Node(settings) if settings.mode is CacheMode.NODE else Cluster(settings)


def key_command(name: str, key: str, *arguments: str | bytes | int) -> CacheCommand:
    """Return the command `name` about one key."""
    return CacheCommand(key, (name, key, *arguments))


def zeros_and_ones(counts: list[Any]) -> list[int]:
    """Return the replies of commands that change one key or none. Raises ValueError for any other reply.

    redis-py returns whatever the server sent, so each driver checks it.
    """
    if not set(counts) <= {0, 1}:
        raise ValueError("not answers to DEL of one key each, nor of a script")
    return counts


class only_cache_unavailable:  # noqa: N801  # as `call_deadline`
    """Raise CacheUnavailable in place of every error that a client can raise."""

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, ValueTooLarge):
            raise EntryTooLarge("the cache answers, but a value is too large for a call") from error
        if isinstance(error, FAILURES):
            raise CacheUnavailable("the cache did not answer") from error

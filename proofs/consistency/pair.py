"""A primary with one replica, and what ElastiCache does when the primary is lost.

    fail_over      the replica becomes the primary, at the same address, with what has reached it; a new one joins it
    cut            nothing more reaches the replica: what is written from here on is lost with the primary

Replication is asynchronous, so a failover may bring back what was deleted shortly before. The address moves as that of
a primary endpoint does, only quicker: the new primary listens on the port of the old one.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from local.servers.processes import HOST
from local.servers.valkey import ValkeyServer

__all__ = ["ValkeyPair"]

_SETTINGS: Final = {"repl-diskless-sync-delay": "0"}


class ValkeyPair:
    """The primary and the replica of the moment."""

    name = "Valkey pair"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers = 0
        self.primary = self._new()
        self.replica = self.primary

    @property
    def url(self) -> str:
        """Where the primary is, whichever it is."""
        return self.primary.url

    def start(self) -> None:
        self.primary.start()
        self._join()

    def stop(self) -> None:
        for server in (self.replica, self.primary):
            server.stop()

    def cut(self) -> None:
        """Lose the way from the primary to the replica, until a failover or `mend`."""
        self.replica.freeze()
        _ask(self.primary, "CLIENT", "KILL", "TYPE", "REPLICA")

    def mend(self) -> None:
        """Let the replica reach the primary again; it catches up by itself."""
        self.replica.thaw()

    def fail_over(self) -> None:
        """Return when the replica is the primary and another one is joining it."""
        lost, port = self.primary, self.primary.port
        lost.kill()
        self.replica.thaw()
        _ask(self.replica, "REPLICAOF", "NO", "ONE")
        self.replica.move(port)
        self.primary = self.replica
        self._join()

    def restart_primary(self) -> None:
        """Have the primary die and come back empty, before anyone would call it a failover."""
        self.primary.kill()
        self.primary.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _new(self) -> _Member:
        self._servers += 1
        return _Member(self._folder / str(self._servers), settings=_SETTINGS)

    def _join(self) -> None:
        self.replica = self._new()
        self.replica.start()
        _ask(self.replica, "REPLICAOF", HOST, self.primary.port)  # no setting: that would outlive a failover


class _Member(ValkeyServer):
    """A server that always starts empty, and can be given another port while it runs."""

    def move(self, port: int) -> None:
        _ask(self, "CONFIG", "SET", "port", port)
        self._port = port

    def _prepare(self) -> None:
        # What it once had from a primary is on its disk, and older than whatever it may join now.
        (self.folder / "dump.rdb").unlink(missing_ok=True)


def _ask(server: ValkeyServer, *words: str | int) -> Any:
    with closing(redis.Redis(HOST, server.port, socket_timeout=5, retry=Retry(NoBackoff(), 0))) as client:
        return client.execute_command(*words)  # type: ignore[no-untyped-call]

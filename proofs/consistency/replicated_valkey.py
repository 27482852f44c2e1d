"""A primary with one replica, and a failover as ElastiCache does it when the primary is lost.

    cut_replication  no more writes reach the replica: those made from here on are lost with the primary
    jam_replication  the same, but the replica stays connected
    fail_over        the replica becomes the primary, at the same address, with the writes that reached it

Replication is asynchronous, so a failover may bring back keys that were deleted shortly before. The address moves as a
primary endpoint does, only faster: the new primary listens on the port of the old one.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from local.servers.processes import HOST
from local.servers.valkey import ValkeyServer

__all__ = ["ReplicatedValkey", "execute"]

_SETTINGS: Final = {"repl-diskless-sync-delay": "0"}
# Together more than the buffers of a kernel for one connection: up to 36 MB by Linux's defaults.
_JAM: Final = "for _ = 1, 3 do redis.call('SET', 'jam', string.rep('x', 16000000)) end"
_JOINED_WITHIN_S: Final = 90.0


class ReplicatedValkey:
    """The current primary and replica."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers = 0
        self.primary = self._new()
        self.replica = self.primary

    @property
    def url(self) -> str:
        """The address of the current primary; a failover does not change it."""
        return self.primary.url

    def start(self) -> None:
        self.primary.start()
        self._join_replica()

    def stop(self) -> None:
        for server in (self.replica, self.primary):
            server.stop()

    def cut_replication(self) -> None:
        """Stop replication from the primary to the replica until the next failover."""
        self.replica.freeze()
        execute(self.primary, "CLIENT", "KILL", "TYPE", "REPLICA")

    def jam_replication(self) -> None:
        """Fill the connection to the replica: what is written from here on stays in the memory of the primary."""
        self.replica.freeze()
        execute(self.primary, "EVAL", _JAM, 0)

    def await_replica(self) -> None:
        """Return when the replica is connected and has the data of the primary. Raises TimeoutError."""
        deadline = time.monotonic() + _JOINED_WITHIN_S
        while b"master_link_status:up" not in execute(self.replica, "INFO", "replication"):
            if time.monotonic() > deadline:
                raise TimeoutError("the replica does not join")
            time.sleep(0.02)

    def fail_over(self) -> None:
        """Kill the primary and promote the replica. Returns when that is done and a new replica is joining."""
        lost, port = self.primary, self.primary.port
        lost.kill()
        self.replica.thaw()
        self.replica.lead()
        self.replica.move(port)
        self.primary = self.replica
        self._join_replica()

    def _new(self) -> _Member:
        self._servers += 1
        return _Member(self._folder / str(self._servers), settings=_SETTINGS)

    def _join_replica(self) -> None:
        self.replica = self._new()
        self.replica.start()
        self.replica.follow(self.primary.port)


class _Member(ValkeyServer):
    """A server that always starts empty, and can change its port while it runs. A replica starts as a replica again."""

    _follows: int | None = None

    def start(self) -> None:
        super().start()
        if self._follows is not None:
            self.follow(self._follows)

    def follow(self, port: int) -> None:
        self._follows = port
        execute(self, "REPLICAOF", HOST, port)  # a setting would stay in force after a failover

    def lead(self) -> None:
        self._follows = None
        execute(self, "REPLICAOF", "NO", "ONE")

    def move(self, port: int) -> None:
        execute(self, "CONFIG", "SET", "port", port)
        self._port = port

    def _prepare(self) -> None:
        # The dump that it received from a primary is older than the data of any primary that it may join now.
        (self.folder / "dump.rdb").unlink(missing_ok=True)


def execute(server: ValkeyServer, *words: str | int) -> Any:
    """Send one command over a connection of its own, and return the answer."""
    with closing(redis.Redis(HOST, server.port, socket_timeout=30, retry=Retry(NoBackoff(), 0))) as client:
        client.set_response_callback("INFO", bytes)
        return client.execute_command(*words)  # type: ignore[no-untyped-call]

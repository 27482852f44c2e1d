"""Real servers in a temporary folder: PostgreSQL with our schema, and one cache.

The benchmarks use `running_servers`; `proofs.consistency` has caches of its own, and uses `temporary_postgres` only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg2

from bench.functions_folder import FUNCTIONS
from cacheaside.settings import Settings
from local.environment import function_environment
from local.servers.postgres import PostgresServer
from local.servers.valkey import ValkeyServer
from local.servers.valkey_cluster import ValkeyCluster
from migrate.upgrade import upgrade

__all__ = ["CACHES", "ROOT", "RunningServers", "running_servers", "temporary_postgres"]

ROOT: Final = Path(__file__).resolve().parent.parent

CACHES: Final[dict[str, Callable[[Path], ValkeyServer | ValkeyCluster]]] = {
    "node": ValkeyServer,
    "cluster": ValkeyCluster,
}


@dataclass(frozen=True, slots=True)
class RunningServers:
    """The servers, and how the functions reach them."""

    postgres: PostgresServer
    environment: dict[str, dict[str, str]]  # of each function
    folder: Path

    def settings(self, function: str) -> Settings:
        """Return the settings that `function` reads from its environment."""
        return Settings.from_environment(self.environment[function])


@contextmanager
def temporary_postgres(*, durable: bool) -> Iterator[tuple[PostgresServer, Path]]:
    """Start PostgreSQL with our schema for the block. Gives the server, and a folder that is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="cacheaside-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL, if root starts it, runs as another user
        with PostgresServer(folder / "postgres", durable=durable) as postgres:
            with closing(psycopg2.connect(postgres.url)) as connection:
                upgrade(connection, FUNCTIONS)
            yield postgres, folder


@contextmanager
def running_servers(mode: str = "node", *, durable: bool = True) -> Iterator[RunningServers]:
    """Start PostgreSQL and a cache for the block. `mode` is one of `CACHES`.

    `durable`: commits wait for the disk, as those of a deployed database do.
    """
    with temporary_postgres(durable=durable) as (postgres, folder), CACHES[mode](folder / "cache") as cache:
        environment = function_environment(postgres.url, cache.url, embedded=True)
        for variables in environment.values():
            variables["CACHE_MODE"] = mode
        yield RunningServers(postgres, environment, folder)

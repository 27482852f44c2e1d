"""Real servers for a benchmark: PostgreSQL with our schema and one cache, in a folder that is gone afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg2

from cacheaside.settings import Settings
from local.environment import function_environment
from local.servers.postgres import PostgresServer
from local.servers.valkey import ValkeyServer
from local.servers.valkey_cluster import ValkeyCluster
from migrate.upgrade import upgrade

__all__ = ["CACHES", "ROOT", "Servers", "servers"]

ROOT: Final = Path(__file__).resolve().parent.parent

CACHES: Final[dict[str, Callable[[Path], ValkeyServer | ValkeyCluster]]] = {
    "node": ValkeyServer,
    "cluster": ValkeyCluster,
}


@dataclass(frozen=True, slots=True)
class Servers:
    """What is up, and how to reach it."""

    postgres: PostgresServer
    environment: dict[str, dict[str, str]]  # of each function
    folder: Path

    def settings(self, function: str) -> Settings:
        """Return what `function` reads from its environment."""
        return Settings.from_environment(self.environment[function])


@contextmanager
def servers(mode: str = "node") -> Iterator[Servers]:
    """Start them for as long as the block lasts. Commits are as durable as a deployed database's: they are waited for.

    `mode` is one of `CACHES`.
    """
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="cacheaside-")))
        folder.chmod(0o755)  # PostgreSQL, if root starts it, runs as another user
        postgres = exits.enter_context(PostgresServer(folder / "postgres"))
        cache = CACHES[mode](folder / "cache")
        exits.enter_context(cache)
        with closing(psycopg2.connect(postgres.url)) as connection:
            upgrade(connection)
        environment = function_environment(postgres.url, cache.url, embedded=True)
        for variables in environment.values():
            variables["CACHE_MODE"] = mode
        yield Servers(postgres, environment, folder)

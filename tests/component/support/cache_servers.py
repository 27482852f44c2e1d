"""Each kind of cache server, its settings, and a client of it that is not the product's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import redis
from redis.cluster import RedisCluster

from cacheaside.settings import Authentication, CacheMode, CacheSettings
from local.servers.valkey import ValkeyServer
from local.servers.valkey_cluster import ValkeyCluster

__all__ = ["CACHE_SERVERS", "CacheServer", "client_of", "settings_of"]

CacheServer = ValkeyServer | ValkeyCluster

CACHE_SERVERS: Final[Mapping[str, Callable[[Path], CacheServer]]] = {
    "node-8": ValkeyServer,
    "node-9": lambda folder: ValkeyServer(folder, version=9),
    # A node that stops for a moment is not to be taken for lost by the others.
    "cluster-8": lambda folder: ValkeyCluster(folder, settings={"cluster-node-timeout": "30000"}),
}


class _WholeCluster(RedisCluster):
    """Asks every node what redis-py would ask only one."""

    def keys(self, pattern: Any = "*", **options: Any) -> Any:
        return super().keys(pattern, target_nodes=self.PRIMARIES, **options)

    def client_kill_filter(self, *arguments: Any, **options: Any) -> Any:
        return super().client_kill_filter(*arguments, target_nodes=self.PRIMARIES, **options)


def client_of(server: CacheServer) -> Any:
    """A connection beside the product's, without its limits in time."""
    return (_WholeCluster if isinstance(server, ValkeyCluster) else redis.Redis).from_url(server.url)


def settings_of(server: CacheServer) -> CacheSettings:
    mode = CacheMode.CLUSTER if isinstance(server, ValkeyCluster) else CacheMode.NODE
    return CacheSettings(url=server.url, authentication=Authentication.URL, region="", name="", mode=mode)

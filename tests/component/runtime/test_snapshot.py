"""Connections that a snapshot would keep are closed after a restore, and opened again when they are needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis

from cacheaside.drivers.guarded import GuardedCache
from local.servers.valkey import ValkeyServer
from tests.component.support.api import Api
from tests.component.support.cache_servers import CacheServer
from tests.support.until import until


def test_connections_are_forgotten_and_opened_again(
    api: Api, valkey: CacheServer, client: redis.Redis, sql: Callable[..., Any]
) -> None:
    assert api.get("/queries/product?id=1").status == 200
    function = api.module("QueryFunction")
    backend = function.queries._queries._kept._connection.info.backend_pid
    address = address_of(function.cache) if isinstance(valkey, ValkeyServer) else None  # a cluster has one for each
    assert address is None or address in open_at(client)
    for _ in range(2):  # the second time, there are none
        function.cache.forget()
        function.queries.forget()
    until(lambda: address is None or address not in open_at(client))
    until(lambda: sql("select pid from pg_stat_activity where pid = %s", backend) == [])
    assert api.get("/queries/product?id=1").cache_status.startswith("cacheaside; hit")
    client.flushall()
    assert "fwd=miss" in api.get("/queries/product?id=1").cache_status


def open_at(client: redis.Redis) -> set[str]:
    return {each["addr"] for each in client.client_list()}


def address_of(cache: GuardedCache) -> str:
    """The near end of its connection, by which the server knows it."""
    [connection] = cache._cache._client._pool._available_connections
    host, port = connection._sock.getsockname()
    return f"{host}:{port}"

"""Connections that a snapshot would keep are closed after a restore, and opened again when they are needed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from local.valkey import ValkeyServer
from tests.component.conftest import Api, CacheServer

OPEN = "select count(*) from pg_stat_activity where application_name = 'cacheaside' and usename = 'cacheaside_query'"


def until(reached: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10
    while not reached():
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.fixture
def connections(valkey: CacheServer, client: redis.Redis, sql: Callable[..., Any]) -> Callable[[], tuple[int, int]]:
    """Counts those of everybody to the cache, where it is one server, and of query functions to the database."""

    def count() -> tuple[int, int]:
        return len(client.client_list()) if isinstance(valkey, ValkeyServer) else 0, sql(OPEN)[0][0]

    return count


def test_connections_are_forgotten_and_opened_again(
    api: Api, valkey: CacheServer, client: redis.Redis, connections: Callable[[], tuple[int, int]]
) -> None:
    assert api.get("/queries/product?id=1").status == 200
    function, (cache, database) = api.module("QueryFunction"), connections()
    for _ in range(2):  # the second time, there are none
        function.cache.forget()
        function.database.forget()
    until(lambda: connections() == (cache - isinstance(valkey, ValkeyServer), database - 1))
    assert api.get("/queries/product?id=1").cache_status.startswith("cacheaside; hit")
    client.flushall()
    assert "fwd=miss" in api.get("/queries/product?id=1").cache_status

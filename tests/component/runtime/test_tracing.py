"""TRACING=xray: the trace of a request has its calls to the cache and the database. Off: nothing is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from local.environment import function_environment
from local.servers.postgres import PostgresServer
from tests.component.support.api import Api
from tests.component.support.cache_servers import CacheServer
from tests.component.support.declared import declared_query
from tests.support.x_ray_daemon import Daemon, x_ray_daemon
from tests.unit.support.runtime_api import Context, Runtime, serving


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    with x_ray_daemon(monkeypatch) as daemon:
        yield daemon


@pytest.fixture
def traced_api(
    postgres: PostgresServer, valkey: CacheServer, daemon: Daemon, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> Api:
    environment = function_environment(postgres.url, valkey.url, embedded=True)
    return Api({name: {**each, "TRACING": "xray"} for name, each in environment.items()}, monkeypatch)


def calls(documents: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return the server, the call and the statement of each, and check that they do not overlap."""
    ends = [document["end_time"] for document in documents]
    assert all(end <= document["start_time"] + 0.001 for end, document in zip(ends, documents[1:], strict=False))
    return [(each["name"], each["annotations"]["call"], each["annotations"].get("statement", "")) for each in documents]


def test_miss_and_hit(traced_api: Api, daemon: Daemon) -> None:
    assert traced_api.get("/queries/product?id=42").status == 200
    miss = daemon.received()
    assert calls(miss) == [
        ("cache", "look", "product"),
        ("cache", "acquire", "product"),
        ("database", "load", "product"),
        ("cache", "store", "product"),
    ]
    assert "select" not in str(miss)
    assert "42" not in str([each["annotations"] for each in miss])
    assert "; hit" in traced_api.get("/queries/product?id=42").cache_status
    assert calls(daemon.received()) == [("cache", "look", "product")]


def test_write(traced_api: Api, daemon: Daemon) -> None:
    assert traced_api.post("/commands/set_price", {"id": 1, "price": 2}).status == 200
    assert calls(daemon.received()) == [
        ("database", "execute", "set_price"),
        ("database", "changes", ""),
        ("cache", "invalidate_tags", ""),
        ("database", "mark_drained", ""),
    ]


def test_drain(traced_api: Api, daemon: Daemon) -> None:
    traced_api.module("InvalidateFunction").handler({}, Context(45_000))
    # 45 s are kept for the rest of a sweep, so there is no time to poll.
    assert ("outbox", "drain", "") in calls(daemon.received())


def test_refresh_after_the_response_belongs_to_its_request(
    traced_api: Api, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cacheaside.runtime.extension._REGISTER_S", 30)
    module = traced_api.module("QueryFunction")
    policy = module.catalogue.query("product").policy._replace(ttl_ms=1, stale_ms=600_000)
    ask = declared_query(traced_api, "select 1 as one", {"policy": policy})
    with serving(Runtime()) as runtime:
        queue = module.AfterResponse.start(runtime.environment)
        monkeypatch.setattr(module, "after_response", queue)
        monkeypatch.setitem(traced_api._handlers, "QueryFunction", queue.wrap(module.handler.__wrapped__))
        runtime.invoke()
        assert ask().status == 200
        assert not queue.inline
        daemon.received()
        runtime.invoke()
        assert "; hit" in ask().cache_status
        runtime.await_log("register", "next", "next", "next")
    assert ("database", "load", "declared") in calls(daemon.received())


def test_without_tracing_nothing_is_sent(start_api: Callable[..., Api], daemon: Daemon, client: redis.Redis) -> None:
    assert start_api().get("/queries/product?id=42").status == 200
    assert daemon.received() == []

"""The proxy of the benchmarks delays and loses what its faults say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from bench.cache_proxy import CacheProxy, ProxyFault
from local.servers.valkey import ValkeyServer
from tests.support.wait_until import wait_until

DELAY_S = 0.1


@pytest.fixture
def proxy(valkey: ValkeyServer) -> Iterator[CacheProxy]:
    with CacheProxy(valkey.port) as proxy:
        yield proxy


def connected(proxy: CacheProxy, timeout_s: float | None = None) -> redis.Redis:
    retry = Retry(NoBackoff(), 0)
    return redis.Redis.from_url(proxy.url, socket_timeout=timeout_s, protocol=2, driver_info=None, retry=retry)


@pytest.fixture
def through(proxy: CacheProxy) -> Iterator[redis.Redis]:
    with connected(proxy) as through:
        through.ping()
        yield through


def seconds_of_three_commands(through: redis.Redis) -> float:
    began = time.perf_counter()
    pipeline = through.pipeline(transaction=False)
    assert pipeline.set("a", b"\r\n*1\r\n").mget("a", "b").get("b").execute() == [True, [b"\r\n*1\r\n", None], None]
    return time.perf_counter() - began


def test_counts_commands_and_replies(client: redis.Redis, proxy: CacheProxy, through: redis.Redis) -> None:
    seconds_of_three_commands(through)
    assert (proxy.commands, proxy.replies) == (4, 4)
    assert proxy.round_trips == 2, "the PING of the fixture, and one pipeline"


@pytest.mark.parametrize("delayed", ["command_s", "late_commands", "late_replies"])
def test_each_command_of_a_pipeline_is_delayed(
    delayed: str, client: redis.Redis, proxy: CacheProxy, through: redis.Redis
) -> None:
    proxy.fault = replace(ProxyFault(late_s=DELAY_S), **{delayed: DELAY_S if delayed == "command_s" else 1})
    assert seconds_of_three_commands(through) >= 3 * DELAY_S


def test_the_server_acts_although_the_reply_is_lost(
    client: redis.Redis, proxy: CacheProxy, through: redis.Redis
) -> None:
    proxy.fault = ProxyFault(lost_replies=1)
    with pytest.raises(redis.ConnectionError):
        through.incr("a")
    assert client.get("a") == b"1"


def test_the_server_acts_although_the_client_is_gone(client: redis.Redis, proxy: CacheProxy) -> None:
    proxy.fault = ProxyFault(command_s=2 * DELAY_S)
    with connected(proxy, timeout_s=DELAY_S) as impatient, pytest.raises(redis.TimeoutError):
        impatient.pipeline(transaction=False).incr("a").incr("a").execute()
    wait_until(lambda: proxy.replies >= 2)
    assert client.get("a") == b"2"


def test_refuses_like_a_dead_server(client: redis.Redis, proxy: CacheProxy, through: redis.Redis) -> None:
    proxy.refuse()
    for _ in range(2):
        with pytest.raises(redis.ConnectionError):
            through.ping()

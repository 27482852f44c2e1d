"""One fault of a campaign at a time, for tests that it is felt while it lasts and not any more after it."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from local.servers.processes import HOST
from proofs.chaos.faults import FAULTS
from proofs.chaos.stack import ChaosStack
from tests.support.missing_tool import skip_without_tool

__all__ = ["cache_client", "injected", "proxied_url", "works"]


@contextmanager
def injected(stack: ChaosStack, name: str) -> Iterator[None]:
    """Begin the fault of that name, and end it after the block.

    Skips the test on a machine that cannot have it. As root in CI, which has all that is needed, that is a failure.
    """
    [fault] = [fault for fault in FAULTS if fault.name == name]
    if why := fault.needs(stack):
        if os.geteuid() == 0:
            skip_without_tool("with every fault", why)
        pytest.skip(why)
    assert stack.kind in fault.caches
    steps = fault.inject(stack, random.Random(1))  # noqa: S311
    next(steps)
    try:
        yield
    finally:
        steps.close()  # type: ignore[attr-defined]  # a generator


@contextmanager
def cache_client(port: int, patience_s: float = 5) -> Iterator[redis.Redis]:
    """Connect to the cache at that port. Each call is tried once."""
    options: Any = {"socket_timeout": patience_s, "retry": Retry(NoBackoff(), 0)}
    with closing(redis.Redis(HOST, port, **options)) as client:
        yield client


def proxied_url(stack: ChaosStack, role: str = "postgres") -> str:
    """Return the URL of the database as the functions have it."""
    return f"postgresql://{role}@{HOST}:{stack.database_proxy.port}/cacheaside"


def works(stack: ChaosStack) -> bool:
    """Return whether both servers take a write that comes through the proxies."""
    try:
        for proxy in stack.cache_proxies:
            with cache_client(proxy.port) as cache:
                cache.ping()
                if stack.kind != "cluster":  # there the node may not have the slot of this key
                    cache.set("written", "", px=1000)
        with closing(psycopg2.connect(proxied_url(stack), connect_timeout=5)) as connection:
            connection.cursor().execute("set lock_timeout = '5s'; update register set value = value where id = 1")
    except (psycopg2.Error, redis.RedisError, OSError, ValueError):  # the last if replies are noise
        return False
    return True

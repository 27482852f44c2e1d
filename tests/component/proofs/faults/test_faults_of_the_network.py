"""Faults of the network: an open connection feels each of them, and a new one works when it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest
import redis

from proofs.chaos.faults.network import NETWORK_FAULTS
from proofs.chaos.stack import ChaosStack
from tests.component.support.one_fault import cache_client, injected, proxied_url, works
from tests.support.wait_until import wait_until

PATIENCE_S = 1
# The least that an answer takes. Without a figure here, there is none.
LATE_S = {
    "slow": 0.02,
    "later than its clients wait": 0.25,
    "replies late": 0.25,
    "replies a byte at a time": 0.1,
}


@pytest.mark.parametrize("name", [fault.name for fault in NETWORK_FAULTS])
def test_fault_of_the_network_is_felt_until_it_ends(stack: ChaosStack, name: str) -> None:
    _, kind = name.split(": ")
    with asking(stack, name) as ask, injected(stack, name):
        began = time.monotonic()
        if kind in LATE_S:
            ask()
            assert time.monotonic() - began >= LATE_S[kind]
        else:
            with pytest.raises((redis.RedisError, psycopg2.Error, OSError, ValueError)):
                ask()
            # What the driver of PostgreSQL does not understand or receive, its caller waits for.
            assert works(stack) is (kind == "open connections silent, new ones work")
    wait_until(lambda: works(stack))


@contextmanager
def asking(stack: ChaosStack, name: str) -> Iterator[Callable[[], object]]:
    """Open a connection to the server that the fault is about. Yields what asks it something."""
    patience_s = 60 if name.split(": ")[1] in LATE_S else PATIENCE_S
    if "cache" in name:
        with cache_client(stack.cache_proxies[0].port, patience_s) as client:
            client.ping()
            yield client.ping
        return
    with closing(psycopg2.connect(proxied_url(stack), async_=True)) as connection:
        wait_for(connection, 60)
        cursor = connection.cursor()

        def ask() -> None:
            cursor.execute("select 1")
            wait_for(connection, patience_s)

        yield ask


def wait_for(connection: psycopg2.extensions.connection, patience_s: float) -> None:
    """Return when the connection has an answer. Raises TimeoutError."""
    deadline = time.monotonic() + patience_s
    while connection.poll() != psycopg2.extensions.POLL_OK:
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.005)

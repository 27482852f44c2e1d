"""A server that does not answer, or makes no sense, is given up in time."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from cacheaside.drivers.cache import deadline
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.cache.deadline import CALL_S
from cacheaside.errors import CacheUnavailable
from cacheaside.reading.steps import Look, Store
from cacheaside.settings import CacheMode
from tests.component.support.cache_calls import KEYS, TAGS, cache_at, eventually, take, unavailable_soon
from tests.component.support.patience import impatience
from tests.component.support.pretender import pretender, scripted


def test_the_deadline_costs_a_hit_no_system_call(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "time", SimpleNamespace(monotonic=lambda: 0.0))  # it takes no time at all
    cache.look(Look(KEYS))
    calls: list[float | None] = []
    settimeout = deadline._Socket.settimeout
    monkeypatch.setattr(
        deadline._Socket, "settimeout", lambda sock, seconds: (calls.append(seconds), settimeout(sock, seconds))
    )
    cache.look(Look(KEYS))
    # redis-py looks whether a kept connection still lives, and sets its timeout back.
    assert set(calls) == {0, deadline.CALL_S}
    assert calls.count(0) == calls.count(deadline.CALL_S)


def test_a_frozen_cache_is_given_up_in_time_and_used_again_when_it_thaws(cache: Cache, cache_server: Any) -> None:
    cache.acquire(take(b"mine"))
    cache_server.freeze()
    try:
        for _ in range(2):
            unavailable_soon(lambda: cache.look(Look(KEYS)))
        unavailable_soon(cache.ping)
        unavailable_soon(lambda: cache.invalidate_tags(TAGS))
    finally:
        cache_server.thaw()
    assert eventually(lambda: cache.look(Look(KEYS)).lease) == b"mine"


@pytest.mark.parametrize("mode", CacheMode)
@pytest.mark.parametrize("drip", [b"*6\r\n" + b"$-1\r\n" * 6, b"$100000\r\n" + b"x" * 500, b"*1000\r\n" * 100])
def test_a_server_that_drips_is_given_up_in_time(mode: CacheMode, drip: bytes) -> None:
    def dripping(connection: Any) -> None:
        connection.recv(65536)
        for byte in drip:
            connection.sendall(bytes([byte]))
            time.sleep(CALL_S / 4)

    with scripted(dripping) as url:
        cache = cache_at(url, mode)
        for _ in range(2):
            unavailable_soon(lambda: cache.look(Look(KEYS)))


def test_opening_may_take_longer_than_a_call_or_a_slow_function_would_never_have_a_cache() -> None:
    def slow_to_sign_in(connection: Any) -> None:
        connection.recv(65536)
        time.sleep(2 * CALL_S)
        connection.sendall(b"+OK\r\n")
        while connection.recv(65536):
            connection.sendall(b"+PONG\r\n")

    with scripted(slow_to_sign_in) as url, impatience("cache"):
        eventually(cache_at(url.replace("//", "//user:password@")).ping)


def test_a_connection_that_died_while_frozen_is_replaced_once() -> None:
    """As a NAT does it: what is sent on the old connection is answered by a reset."""
    served = []

    def once(connection: Any) -> None:
        served.append(connection)
        connection.recv(65536)
        connection.sendall(b"*6\r\n" + b"$-1\r\n" * 6)
        connection.recv(65536)  # and then it ends without an answer

    with scripted(once) as url:
        cache = cache_at(url)
        for _ in range(3):
            assert cache.look(Look(KEYS)).entry is None
    assert len(served) == 3


def test_a_store_is_never_sent_twice() -> None:
    received: list[bytes] = []

    def once(connection: Any) -> None:
        received.append(connection.recv(65536))
        connection.sendall(b"+PONG\r\n")
        received.append(connection.recv(65536))  # and then it ends without an answer

    with scripted(once) as url:
        cache = cache_at(url)
        cache.ping()
        with pytest.raises(CacheUnavailable):
            cache.store(Store(KEYS, b"mine", b"answer", 60_000))
    assert sum(b"EVALSHA" in request for request in received) == 1


@pytest.mark.parametrize(
    "reply", [b":42\r\n", b"*1\r\n*1\r\n:1\r\n", b"-MOVED 1 127.0.0.1:1\r\n", b"-ASK x\r\n", b"$-1\r\n"]
)
@pytest.mark.parametrize("mode", CacheMode)
def test_nonsense_is_no_answer(mode: CacheMode, reply: bytes) -> None:
    with pretender(reply) as url:
        cache = cache_at(url, mode)
        for act in (lambda: cache.look(Look(KEYS)), lambda: cache.acquire(take(b"mine")), lambda: cache.sample(5)):
            unavailable_soon(act)

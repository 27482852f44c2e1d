"""The driver gives up in time on a server that does not answer, or answers nonsense."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from cacheaside.drivers.cache import deadline
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.cache.deadline import CALL_S
from cacheaside.errors import CacheUnavailable, EntryTooLarge
from cacheaside.reading.steps import Look, Store
from cacheaside.settings import CacheMode
from tests.component.support.cache_driver import (
    KEYS,
    TAGS,
    acquire_step,
    assert_unavailable_soon,
    cache_at,
    retry_until_available,
)
from tests.component.support.fake_server import fixed_reply_server, scripted_server
from tests.component.support.outages import frozen
from tests.component.support.timeouts import production_timeouts_of


def test_the_deadline_costs_a_hit_no_system_call(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "time", SimpleNamespace(monotonic=lambda: 0.0))  # the first call takes no time
    cache.look(Look(KEYS))
    calls: list[float | None] = []
    settimeout = deadline._Socket.settimeout
    monkeypatch.setattr(
        deadline._Socket, "settimeout", lambda sock, seconds: (calls.append(seconds), settimeout(sock, seconds))
    )
    cache.look(Look(KEYS))
    assert calls == []


def test_a_frozen_cache_is_given_up_in_time_and_used_again_when_it_thaws(cache: Cache, cache_server: Any) -> None:
    cache.acquire(acquire_step(b"mine"))
    with frozen(cache_server):
        for _ in range(2):
            assert_unavailable_soon(lambda: cache.look(Look(KEYS)))
        assert_unavailable_soon(cache.ping)
        assert_unavailable_soon(lambda: cache.invalidate_tags(TAGS))
    assert retry_until_available(lambda: cache.look(Look(KEYS)).lease) == b"mine"


@pytest.mark.parametrize("mode", CacheMode)
@pytest.mark.parametrize("drip", [b"*6\r\n" + b"$-1\r\n" * 6, b"$100000\r\n" + b"x" * 500, b"*1000\r\n" * 100])
def test_a_server_that_drips_is_given_up_in_time(mode: CacheMode, drip: bytes) -> None:
    def dripping(connection: Any) -> None:
        connection.recv(65536)
        for byte in drip:
            connection.sendall(bytes([byte]))
            time.sleep(CALL_S / 4)

    with scripted_server(dripping) as url:
        cache = cache_at(url, mode)
        for _ in range(2):
            assert_unavailable_soon(lambda: cache.look(Look(KEYS)))


def test_opening_a_connection_may_take_longer_than_a_call() -> None:
    # Otherwise a slow function would never have a cache.
    def slow_to_sign_in(connection: Any) -> None:
        connection.recv(65536)
        time.sleep(2 * CALL_S)
        connection.sendall(b"+OK\r\n")
        while connection.recv(65536):
            connection.sendall(b"+PONG\r\n")

    with scripted_server(slow_to_sign_in) as url, production_timeouts_of("cache"):
        retry_until_available(cache_at(url.replace("//", "//user:password@")).ping)


def test_a_connection_that_died_while_frozen_is_replaced_once() -> None:
    """As behind a NAT, which answers data on an old connection with a reset."""
    served = []

    def once(connection: Any) -> None:
        served.append(connection)
        connection.recv(65536)
        connection.sendall(b"*6\r\n" + b"$-1\r\n" * 6)
        connection.recv(65536)  # then the connection ends without an answer

    with scripted_server(once) as url:
        cache = cache_at(url)
        for _ in range(3):
            assert cache.look(Look(KEYS)).entry is None
    assert len(served) == 3


@pytest.mark.parametrize("together", [True, False])
def test_a_reply_that_nobody_expects_is_not_taken_for_the_next_one(together: bool) -> None:
    first, second = (b"*6\r\n$%d\r\n%s\r\n" % (len(entry), entry) + b"$-1\r\n" * 5 for entry in (b"old", b"new"))
    served = []

    def twice(connection: Any) -> None:
        served.append(connection)
        connection.recv(65536)
        if len(served) == 2:
            connection.sendall(second)
        else:
            connection.sendall(first + first if together else first)
            if not together:
                connection.sendall(first)
        connection.recv(65536)

    with scripted_server(twice) as url:
        cache = cache_at(url)
        assert cache.look(Look(KEYS)).entry == b"old"
        time.sleep(0.1)  # until the second one has come
        assert cache.look(Look(KEYS)).entry == b"new"


def test_a_reply_too_large_for_the_memory_makes_the_cache_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object, **__: object) -> None:
        raise MemoryError

    with fixed_reply_server(b"*6\r\n" + b"$-1\r\n" * 6) as url:
        monkeypatch.setattr("redis._parsers._HiredisParser.read_response", no_memory)
        with pytest.raises(CacheUnavailable):
            cache_at(url).look(Look(KEYS))


def test_a_store_is_never_sent_twice() -> None:
    received: list[bytes] = []

    def once(connection: Any) -> None:
        received.append(connection.recv(65536))
        connection.sendall(b"+PONG\r\n")
        received.append(connection.recv(65536))  # then the connection ends without an answer

    with scripted_server(once) as url:
        cache = cache_at(url)
        cache.ping()
        with pytest.raises(CacheUnavailable):
            cache.store(Store(KEYS, b"mine", b"answer", 60_000))
    assert sum(b"EVALSHA" in request for request in received) == 1


@pytest.mark.parametrize(
    "reply",
    [
        *(b":42\r\n", b"*1\r\n*1\r\n:1\r\n", b"-MOVED 1 127.0.0.1:1\r\n", b"-ASK x\r\n", b"$-1\r\n"),
        b"*9\r\n-ASK\r\n-ASK\r\n",  # the parser raises SystemError, before the rest is there
    ],
)
@pytest.mark.parametrize("mode", CacheMode)
def test_nonsense_makes_the_cache_unavailable(mode: CacheMode, reply: bytes) -> None:
    with fixed_reply_server(reply) as url:
        cache = cache_at(url, mode)
        for act in (
            lambda: cache.look(Look(KEYS)),
            lambda: cache.acquire(acquire_step(b"mine")),
        ):
            assert_unavailable_soon(act)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"*1000000000\r\n"],
        [b"*1\r\n*", b"100", b"0000000\r\n"],
        [b"*6\r\n", b"%9999999\r\n"],
        [b"*6\r\n$17\r\nforeign", b"\r\n>1234567\r\n"],  # a value
    ],
)
def test_a_reply_that_announces_more_than_fits_in_memory_is_refused_at_once(pieces: list[bytes]) -> None:
    """hiredis makes room for all elements at once, and that takes seconds of CPU."""

    def announcing(connection: Any) -> None:
        connection.recv(65536)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.01)
        connection.recv(65536)

    with scripted_server(announcing) as url, pytest.raises(EntryTooLarge) as caught:  # which no breaker counts
        cache_at(url).look(Look(KEYS))
    assert "announces too many elements" in str(caught.value.__cause__)


def test_replies_that_do_not_end_take_no_more_memory_than_all_entries_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "_LARGE_S", 60.0)
    sent = []

    def endless(connection: Any) -> None:
        connection.recv(65536)
        connection.sendall(b"*6\r\n$500000000\r\n")
        while True:
            connection.sendall(bytes(1_000_000))
            sent.append(1)

    with scripted_server(endless) as url, pytest.raises(CacheUnavailable):
        cache_at(url).look(Look(KEYS))
    assert 60 < len(sent) < 100


def test_a_cluster_that_sends_no_map_is_unavailable() -> None:
    """redis-py raises AttributeError, ValueError, TypeError …, for the parts of a map that have the wrong type."""
    node = b"*2\r\n*1\r\n:1\r\n:6379\r\n"
    for reply in (b"*1\r\n*3\r\n:0\r\n:16383\r\n" + node, b":1\r\n", b"*1\r\n*1\r\n:0\r\n", b"%1\r\n:1\r\n*0\r\n"):
        with fixed_reply_server(reply) as url, pytest.raises(CacheUnavailable):
            cache_at(url, CacheMode.CLUSTER).look(Look(KEYS))

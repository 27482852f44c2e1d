"""A limit in time for one whole call to the cache, however many sockets and replies it takes.

A socket's own timeout limits one receive: a server that sends a byte at a time restarts it with every byte. Here each
gets only the time that is left of the call:

    with call_deadline():      0 ───────────────────────────────► limit ┄┄┄┄┄► 1 µs more for each byte, up to LARGE_S
        sendall, recv_into …     each may take the time that is left at that moment
        opening                  has a limit of its own, and stops the clock of the call

Bytes that keep coming are no silence: a large value takes its time. If that is over, the call raises `ValueTooLarge`,
which says something about this value and nothing about the server.

Connections are opened once in the life of a sandbox, at a cold start. TLS, AUTH and the map of a cluster then take a
small Lambda longer than any call. If the call gave up on them, the next one would find them as slow. The name lookup
cannot be limited: the resolver does it.
"""

from __future__ import annotations

import fcntl
import select
import socket
import ssl
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import redis
from redis.connection import Connection, SSLConnection

from cacheaside.reading.entry import ARRAY_HEAD

__all__ = [
    "CALL_S",
    "BoundedConnection",
    "BoundedSSLConnection",
    "Call",
    "ValueTooLarge",
    "call_deadline",
    "opening",
    "tls",
    "too_large",
]

# The cache must never cost more than it saves.
CALL_S: Final = 0.2
_OPENING_S: Final = 1.0
# A call for a large value may take this long. A lease outlasts it, so a store that gives up can still tell others.
_LARGE_S: Final = 0.6
_S_PER_BYTE: Final = 1e-6
# A call that sent and received fewer bytes was not slow because of their number.
_LARGE: Final = 65_536
_CHUNK: Final = 16_384
# More than the largest replies have together. A server that sends faster than any network would fill the memory.
_RECEIVED_AT_MOST: Final = 64 * 1024 * 1024
# The bytes of `ARRAY_HEAD`. hiredis would make room for all elements before one has arrived, and that takes seconds.
_HEAD_BYTES: Final = 10
# How much too long a socket's timeout may be before it is worth a system call to shorten it, as a share of the limit.
_SLACK: Final = 0.1
# This process may have been paused until after the deadline. Once in a call it then takes the bytes that have arrived.
_GRACE_S: Final = 0.001
_UNLIMITED: Final = float("inf")


class ValueTooLarge(redis.RedisError):
    """The time of a call was over while the bytes of a large value were passing, or a reply has too many elements."""


class Call:
    """The limits of one call and what is left of them. Points in time are on the monotonic clock."""

    __slots__ = (
        *("_deadline", "_is_graced", "_is_opening", "_latest", "_opening_left_s"),
        *("_received", "_sent", "limit_s", "opening_took_s", "unacknowledged"),
    )

    def __init__(self, limit_s: float, opening_s: float) -> None:
        began = time.monotonic()
        self.limit_s = limit_s
        self.opening_took_s = 0.0
        self._deadline, self._latest = began + limit_s, began + max(limit_s, _LARGE_S)
        self._opening_left_s = opening_s
        self._is_opening = self._is_graced = False
        self._received = self._sent = 0
        self.unacknowledged = 0  # of the bytes sent, when the time was over

    @property
    def is_large(self) -> bool:
        """Return whether so many bytes have passed that they explain the time of the call.

        Bytes in the kernel's buffer have not passed. If all have, and there is no reply, the server is silent.
        """
        is_sending = self.unacknowledged > 0 and self._sent - self.unacknowledged >= _LARGE
        return self._received >= _LARGE or is_sending

    def left(self) -> float:
        """Return the seconds that are left, always more than 0. Raises TimeoutError when there are none."""
        now = time.monotonic()
        if now >= self._deadline and not self._is_graced:
            self._is_graced = True
            self._deadline = min(now + _GRACE_S, self._latest)
        if now >= self._deadline:
            raise TimeoutError("the time for this call is over")
        return self._deadline - now

    def received(self, count: int) -> None:
        """Extend the deadline for `count` bytes that were received."""
        self._received += count
        if self._received > _RECEIVED_AT_MOST:
            raise TimeoutError("the replies to this call are too large")
        self._deadline = min(self._deadline + count * _S_PER_BYTE, self._latest)

    def sent(self, count: int) -> None:
        """Extend the deadline for `count` bytes that were sent."""
        self._sent += count
        self._deadline = min(self._deadline + count * _S_PER_BYTE, self._latest)

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Charge this block to the time for opening. A block inside another changes nothing."""
        if self._is_opening:
            yield
            return
        began, deadline, latest = time.monotonic(), self._deadline, self._latest
        self._is_opening = True
        self._deadline = self._latest = began + self._opening_left_s
        try:
            yield
        finally:
            took = time.monotonic() - began
            self._deadline, self._latest, self._is_opening = deadline + took, latest + took, False
            self._opening_left_s -= took
            self.opening_took_s += took


class _Current(threading.local):
    call: Call | None = None


_current: Final = _Current()


class call_deadline:  # noqa: N801  # a context manager, and no function only because each hit would run its generator
    """Within this block, in this thread, all waits of bounded connections together end after `limit_s`.

    They raise TimeoutError then, which redis-py translates to its own. The limit is at most `CALL_S`, and longer only
    for large values. Opening connections may take `opening_s` more, at most 1 s. A block inside another has no limit of
    its own.
    """

    __slots__ = ("_is_outermost", "_limit_s", "_opening_s")

    def __init__(self, limit_s: float = _UNLIMITED, opening_s: float = _UNLIMITED) -> None:
        self._limit_s = limit_s
        self._opening_s = opening_s

    def __enter__(self) -> Call:
        call = _current.call
        self._is_outermost = call is None
        if call is None:
            call = _current.call = Call(min(self._limit_s, CALL_S), min(self._opening_s, _OPENING_S))
        return call

    def __exit__(self, *_: object) -> None:
        if self._is_outermost:
            _current.call = None


@contextmanager
def opening() -> Iterator[None]:
    """Charge this block to the time for opening connections, if a call is limited."""
    if _current.call is None:
        yield
        return
    with _current.call.opening():
        yield


def too_large(error: redis.RedisError) -> bool:
    """Return whether `error` ended a call because the bytes of a large value were still passing."""
    call = _current.call
    return isinstance(error, redis.TimeoutError) and call is not None and call.is_large


@cache
def tls() -> ssl.SSLContext:
    """Return the context of all connections. Reading the CA bundle takes longer than a handshake."""
    return ssl.create_default_context()


class _Socket:
    """A socket that knows the deadline. For redis-py it is any other socket: all else is the socket's own."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._timeout = sock.gettimeout()
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._tail = b"\r\n"  # the last bytes that were received

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds
        self._socket.settimeout(seconds)

    def is_quiet(self) -> bool:
        """Return whether there is nothing to read: neither a reply that nobody expects, nor the connection's end."""
        return not self._poll.poll(0)

    def sendall(self, data: bytes) -> None:
        for start in range(0, len(data), _CHUNK):
            chunk = data[start : start + _CHUNK]
            call = self._in_time(self._socket.sendall, chunk)[0]
            if call is not None:
                call.sent(len(chunk))

    def recv_into(self, buffer: bytearray) -> int:
        call, received = self._in_time(self._socket.recv_into, buffer)
        count: int = received
        if call is not None:
            call.received(count)
        self._refuse_many(buffer, count)
        return count

    def _refuse_many(self, buffer: bytearray, count: int) -> None:
        """Raise ValueTooLarge where a reply begins that has too many elements. It may begin in the bytes before.

        The bytes may also be a foreign value's. That says nothing about the server, and opens no breaker.
        """
        across = self._tail + buffer[: min(count, _HEAD_BYTES)]
        self._tail = across[-_HEAD_BYTES:] if count <= _HEAD_BYTES else bytes(buffer[count - _HEAD_BYTES : count])
        if ARRAY_HEAD.search(buffer, 0, count) or ARRAY_HEAD.search(across):
            raise ValueTooLarge("the reply announces too many elements")

    def _in_time(self, method: Callable[[Any], Any], argument: Any) -> tuple[Call | None, Any]:
        """Return the current call, and the result of `method` within its time."""
        call = _current.call
        if call is None:
            return call, method(argument)
        try:
            self._shorten(call)
            return call, method(argument)
        except TimeoutError:
            call.unacknowledged = _unacknowledged(self._socket)
            raise

    def _shorten(self, call: Call) -> None:
        """Set the socket's timeout to what is left of the call, unless it is that or slightly more."""
        left = call.left()
        if self._timeout is None or not 0 <= self._timeout - left <= call.limit_s * _SLACK:
            self.settimeout(left)


def _unacknowledged(sock: socket.socket) -> int:
    """Return how many bytes the other side has not acknowledged; 0 if the system does not tell."""
    try:
        return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except OSError:
        return 0


class BoundedConnection(Connection):
    """A connection that is opened, written to and read within the deadline of the call."""

    kept = False  # from an earlier call; it may have died while the sandbox was frozen

    def connect(self) -> None:
        self.kept = self._sock is not None
        if not self.kept:
            with opening():
                super().connect()  # type: ignore[no-untyped-call]

    @property  # type: ignore[misc]  # redis-py's attribute can be set, and nothing sets it
    def socket_connect_timeout(self) -> float | None:
        """redis-py reads this for each address of the host."""
        return self.socket_timeout if _current.call is None else _current.call.left()

    def is_quiet(self) -> bool:
        """Return whether the connection is open, and there is nothing to read: neither in the kernel nor in the parser.

        A reply that nobody expects would be taken for that to the next request.
        """
        return self._sock is not None and self._sock.is_quiet() and not self._parser._reader.has_data()

    def _connect(self) -> _Socket:
        return _Socket(super()._connect())  # type: ignore[no-untyped-call]


class BoundedSSLConnection(BoundedConnection, SSLConnection):
    """The same with TLS, verified against the system's certificate authorities."""

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        sock.settimeout(self.socket_connect_timeout)  # one limit for the handshake as a whole
        return tls().wrap_socket(sock, server_hostname=self.host)

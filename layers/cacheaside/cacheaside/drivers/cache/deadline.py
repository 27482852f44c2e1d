"""A limit in time for one whole call to the cache, however many sockets and replies it takes.

A socket's own timeout limits one `recv`: a server that sends a byte at a time restarts it with every byte. Here every
`recv` gets only the time that is left of the call:

    with call_deadline():      0 ───────────────────────────────► CALL_S
        sendall, recv, recv …    each may take the time that is left at that moment
        opening                  has OPENING_S of its own, and stops the clock of the call

Connections are opened once in the life of a sandbox, at a cold start. TLS, AUTH and the map of a cluster then take a
small Lambda longer than any call. If the call gave up on them, the next one would find them as slow. The name lookup
cannot be limited: the resolver does it.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from redis.connection import Connection, SSLConnection

__all__ = ["CALL_S", "BoundedConnection", "BoundedSSLConnection", "call_deadline", "opening", "tls"]

# The cache must never cost more than it saves.
CALL_S: Final = 0.2
# If the cache does not answer, a breaker bounds how often this is spent.
_OPENING_S: Final = 1.0
# How much too long a socket's timeout may be before it is worth a system call to shorten it. A hit takes no such call.
_SLACK_S: Final = 0.02
_FOREVER: Final = float("inf")


class _Call(threading.local):
    deadline: float = _FOREVER  # on the monotonic clock
    opening_s: float = 0.0  # left for opening connections
    is_opening: bool = False

    def left(self) -> float:
        """Return the seconds that are left, always more than 0. Raises TimeoutError when there are none."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time for this call is over")
        return left


_call: Final = _Call()


@contextmanager
def call_deadline() -> Iterator[None]:
    """Within this block, in this thread, all waits of bounded connections together end after `CALL_S`.

    They raise TimeoutError then, which redis-py translates to its own. Opening connections may take `_OPENING_S` more.
    """
    _call.deadline, _call.opening_s = time.monotonic() + CALL_S, _OPENING_S
    try:
        yield
    finally:
        _call.deadline = _FOREVER


@contextmanager
def opening() -> Iterator[None]:
    """Charge this block to the time for opening, not to that of the call. A block inside another changes nothing."""
    if _call.is_opening or _call.deadline == _FOREVER:
        yield
        return
    began, deadline = time.monotonic(), _call.deadline
    _call.deadline, _call.is_opening = began + _call.opening_s, True
    try:
        yield
    finally:
        took = time.monotonic() - began
        _call.deadline, _call.is_opening = deadline + took, False
        _call.opening_s -= took


@cache
def tls() -> ssl.SSLContext:
    """Return the context of all connections. Reading the CA bundle takes longer than a handshake."""
    return ssl.create_default_context()


class _Socket:
    """A socket that knows the deadline. For redis-py it is any other socket: all else is the socket's own."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._timeout = sock.gettimeout()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds
        self._socket.settimeout(seconds)

    def sendall(self, data: bytes) -> None:
        self._shorten()
        self._socket.sendall(data)

    def recv(self, size: int) -> bytes:
        self._shorten()
        return self._socket.recv(size)

    def _shorten(self) -> None:
        """Set the socket's timeout to the time that is left, unless it is that or slightly longer already."""
        if self._timeout == 0 or _call.deadline == _FOREVER:  # redis-py only checks whether there is something to read
            return
        left = _call.left()
        if self._timeout is None or not 0 <= self._timeout - left <= _SLACK_S:
            self.settimeout(left)


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
        return self.socket_timeout if _call.deadline == _FOREVER else _call.left()

    def _connect(self) -> _Socket:
        return _Socket(super()._connect())  # type: ignore[no-untyped-call]


class BoundedSSLConnection(BoundedConnection, SSLConnection):
    """The same with TLS, verified against the system's certificate authorities."""

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        sock.settimeout(self.socket_connect_timeout)  # one limit for the handshake as a whole
        return tls().wrap_socket(sock, server_hostname=self.host)

"""A limit in time for the whole of one call to the cache, however many sockets and answers it takes.

A socket's own timeout limits one `recv`: a server that drips a byte at a time resets it with every byte. Here every
`recv` gets only what is left of the call:

    with deadline(0.2, opening_s=1.0):     0 ───────────────────────────────► 0.2 s
        sendall, recv, recv …                each may take what is left at that moment
        opening                              has a second of its own, and stops the call's clock

Opening is for a cold start, once in the life of a sandbox: there TLS, AUTH and the map of a cluster take a small Lambda
longer than any call, and a call that gave up on them would find them as slow the next time. What cannot be limited is
the name lookup, which is the resolver's.
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

__all__ = ["BoundedConnection", "BoundedSSLConnection", "deadline", "opening", "tls"]

# How much too long a socket's timeout may be before it is worth a system call to shorten it: a hit takes none.
_SLACK_S: Final = 0.02
_FOREVER: Final = float("inf")


class _Call(threading.local):
    ends: float = _FOREVER
    opening_s: float = 0.0  # that are left for opening connections
    is_opening: bool = False

    def left(self) -> float:
        """Return the seconds that are left, always more than 0. Raises TimeoutError when there are none."""
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time for this call is over")
        return left


_call: Final = _Call()


@contextmanager
def deadline(seconds: float, *, opening_s: float) -> Iterator[None]:
    """Within this block, in this thread, bounded connections wait no longer than `seconds` from now altogether.

    They raise TimeoutError then, which redis-py translates to its own. Opening them may take `opening_s` more.
    """
    _call.ends, _call.opening_s = time.monotonic() + seconds, opening_s
    try:
        yield
    finally:
        _call.ends = _FOREVER


@contextmanager
def opening() -> Iterator[None]:
    """What this block takes is of the time for opening, not of the call's; also where it is within another one."""
    if _call.is_opening or _call.ends == _FOREVER:
        yield
        return
    began, ends = time.monotonic(), _call.ends
    _call.ends, _call.is_opening = began + _call.opening_s, True
    try:
        yield
    finally:
        took = time.monotonic() - began
        _call.ends, _call.is_opening = ends + took, False
        _call.opening_s -= took


@cache
def tls() -> ssl.SSLContext:
    """Return the context of all connections: reading the CA bundle takes longer than a handshake."""
    return ssl.create_default_context()


class _Socket:
    """A socket that knows the deadline. redis-py treats it as any other; what is not here is the socket's own."""

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
        """Have the socket wait as long as is left, or a little longer if that is how it is set already."""
        if self._timeout == 0 or _call.ends == _FOREVER:  # redis-py only looks whether there is something to read
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

    @property  # type: ignore[misc]  # redis-py's can be set, and nobody does
    def socket_connect_timeout(self) -> float | None:
        """Asked by redis-py for each address of the host."""
        return self.socket_timeout if _call.ends == _FOREVER else _call.left()

    def _connect(self) -> _Socket:
        return _Socket(super()._connect())  # type: ignore[no-untyped-call]


class BoundedSSLConnection(BoundedConnection, SSLConnection):
    """The same with TLS, verified against the system's certificate authorities."""

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        sock.settimeout(self.socket_connect_timeout)  # one limit for the handshake as a whole
        return tls().wrap_socket(sock, server_hostname=self.host)

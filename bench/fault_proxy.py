"""A TCP proxy in front of a real server, whose faults can be switched on and off while connections are open."""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from hashlib import shake_256
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from local.servers.processes import HOST

__all__ = ["Fault", "FaultProxy", "bind_port", "fault_proxy"]

_DRIP_S: Final = 0.02
_ALWAYS: Final = 1_000_000
_CHUNK: Final = 65_536
_PIECE: Final = 16_384  # what passes at once at a limited rate
# The beginning of a command in the protocol of Redis. Values that look like one are delayed too long.
_COMMAND: Final = re.compile(rb"\*\d+\r\n\$\d+\r\n[A-Z]")
# The same in every run. It is not text: UTF-8 forbids its first byte.
_NOISE: Final = b"\xfc" + shake_256(b"garbage").digest(_CHUNK)
# Close with RST instead of FIN, as a kernel does for a killed process or a port without a listener.
_RESET: Final = struct.pack("ii", 1, 0)


class Fault(Enum):
    """A fault of the network or the server, as the client sees it."""

    NONE = "nothing"
    LATENCY = "every request and every answer is late"
    LATE_ANSWER = "answers are late, and requests are not"
    SLOW_COMMANDS = "each command of a request to the cache takes long"
    NARROW = "requests and answers pass at a limited rate"
    SILENCE = "connections are accepted and nothing passes"
    REFUSAL = "the port is closed, and open connections are reset"
    RESET = "the connection is reset once the request was forwarded"
    HALF_OPEN = "connections that are open pass nothing any more, and are not closed; new ones work"
    DRIP = "answers come a byte at a time"
    GARBAGE = "answers are noise"


def bind_port(port: int) -> socket.socket:
    """Return a socket that is bound to the port and does not listen. So no other process can take the port."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    return listener


class FaultProxy:
    """Forwards between clients and one server, except as the fault says. `port` never changes."""

    def __init__(self, host: str, port: int) -> None:
        self.connections = 0  # accepted so far
        self.requests = 0  # received so far; drivers write each request at once, so a read from a client is one
        self._server = (host, port)
        self._lock = threading.RLock()
        self._pairs: set[_Pair] = set()
        self._fault, self._latency_s, self._rate = Fault.NONE, 0.0, 0.0
        self._first, self._last = 0, 0  # the first and the last request that meet the fault
        self._listener = bind_port(0)
        self.port: int = self._listener.getsockname()[1]
        self._start_listening()

    def switch(
        self, fault: Fault, *, latency_s: float = 0.0, rate: float = 0.0, after: int = 0, times: int = _ALWAYS
    ) -> None:
        """Apply `fault` to the next `times` requests, but not to the first `after` of them. `rate` is in bytes/s."""
        with self._lock:
            self._fault, self._latency_s, self._rate = fault, latency_s, rate
            self._first, self._last = self.requests + after + 1, self.requests + after + times
        if not self._acceptor.is_alive():
            self._start_listening()
        if after == 0:
            self._begin()

    def redirect(self, url: str) -> None:
        """Forward new connections to another server, as after a DNS change. Open connections keep their server."""
        self._server = (HOST, int(urlsplit(url).port or 0))

    def close(self) -> None:
        """Close all connections and accept no more."""
        self._stop_listening()
        self._listener.close()

    def _begin(self) -> None:
        """Apply the part of a fault that affects open connections at once."""
        if self._fault is Fault.REFUSAL:
            self._stop_listening()
        elif self._fault is Fault.HALF_OPEN:
            with self._lock:
                for pair in self._pairs:
                    pair.frozen = True

    def _start_listening(self) -> None:
        self._listener.listen()
        self._acceptor = threading.Thread(target=self._accept, args=[self._listener], daemon=True)
        self._acceptor.start()

    def _stop_listening(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the acceptor
        self._acceptor.join()
        self._listener.close()
        # Bound, so that no other process can take the port. Not listening, so it refuses.
        self._listener = bind_port(self.port)
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.reset()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                try:
                    server = socket.create_connection(self._server)
                except OSError:
                    client.close()
                    continue
                pair = _Pair(client, server)
                pair.asking = threading.Thread(target=self._ask, args=[pair], daemon=True)
                with self._lock:
                    self.connections += 1
                    self._pairs.add(pair)
                    pair.asking.start()
                threading.Thread(target=self._answer, args=[pair], daemon=True).start()

    def _ask(self, pair: _Pair) -> None:
        """Forward requests until the client, or `_Pair.reset`, ends the connection."""
        with suppress(OSError):
            while data := pair.client.recv(_CHUNK):
                fault = self._count()
                if pair.frozen or fault is Fault.SILENCE:
                    continue
                if fault is Fault.LATENCY:
                    time.sleep(self._latency_s)
                if fault is Fault.SLOW_COMMANDS:
                    time.sleep(self._latency_s * len(_COMMAND.findall(data)))
                pair.muted = fault in (Fault.RESET, Fault.REFUSAL)
                if fault is not Fault.REFUSAL:
                    self._send(pair.server, data, *self._pace(fault))
                if pair.muted:
                    pair.reset()
                    break
        with self._lock:
            self._pairs.discard(pair)
        pair.close()

    def _answer(self, pair: _Pair) -> None:
        """Forward answers until the server ends the connection."""
        with suppress(OSError):
            while data := pair.server.recv(_CHUNK):
                fault = self._current()
                if pair.muted or pair.frozen or fault is Fault.SILENCE:
                    continue
                if fault in (Fault.LATENCY, Fault.LATE_ANSWER):
                    time.sleep(self._latency_s)
                if fault is Fault.GARBAGE:
                    data = _NOISE[: len(data)]
                self._send(pair.client, data, *((1, _DRIP_S) if fault is Fault.DRIP else self._pace(fault)))
        if not (pair.frozen or self._current() is Fault.SILENCE):
            with suppress(OSError):
                pair.client.shutdown(socket.SHUT_RDWR)  # ends `_ask`, which closes both

    def _pace(self, fault: Fault) -> tuple[int, float]:
        """Return how many bytes pass at once, and the seconds that each of them takes."""
        return (_PIECE, 1 / self._rate) if fault is Fault.NARROW else (_CHUNK, 0.0)

    def _send(self, to: socket.socket, data: bytes, piece: int, s_per_byte: float) -> None:
        """Send `data` at a limited rate, or at once from the moment that the fault ends."""
        for start in range(0, len(data), piece):
            to.sendall(data[start : start + piece])
            if s_per_byte and self._current() is not Fault.NONE:
                time.sleep(s_per_byte * min(piece, len(data) - start))

    def _count(self) -> Fault:
        """Count a request. Returns the fault that applies to it."""
        with self._lock:
            self.requests += 1
            begins = self.requests == self._first
        if begins and self._acceptor.is_alive():
            self._begin()
        return self._current()

    def _current(self) -> Fault:
        with self._lock:
            return self._fault if self._first <= self.requests <= self._last else Fault.NONE


class _Pair:
    """A connection from a client, and the one to the server that belongs to it."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.asking = threading.current_thread()
        self.frozen = False  # nothing passes any more, and neither side is closed
        self.muted = False  # requests pass, answers do not
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def reset(self) -> None:
        """End the client's connection with RST. The kernel sends it once no thread reads from the socket any more."""
        with suppress(OSError):
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.client.shutdown(socket.SHUT_RD)  # wakes `_ask`
        if threading.current_thread() is not self.asking:
            self.asking.join()

    def close(self) -> None:
        with suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)  # wakes `_answer`
        self.server.close()
        self.client.close()


@contextmanager
def fault_proxy(url: str) -> Iterator[tuple[FaultProxy, str]]:
    """Run a proxy, at first without a fault, in front of the server of `url`. Yields it and the URL through it."""
    parts = urlsplit(url)
    proxy = FaultProxy(parts.hostname or HOST, parts.port or 0)
    credentials, at, _ = parts.netloc.rpartition("@")
    try:
        yield proxy, urlunsplit(parts._replace(netloc=f"{credentials}{at}{HOST}:{proxy.port}"))
    finally:
        proxy.close()

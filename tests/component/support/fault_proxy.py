"""A TCP proxy in front of a real server, whose faults can be switched on and off while connections are open."""

from __future__ import annotations

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

from tests.component.support.closed_port import bound

__all__ = ["Fault", "FaultProxy", "fault_proxy"]

HOST: Final = "127.0.0.1"
_DRIP_S: Final = 0.02
_ALWAYS: Final = 1_000_000
_CHUNK: Final = 65_536
# The same in every run. No text in any encoding that matters: it begins with a byte that UTF-8 forbids there.
_NOISE: Final = b"\xfc" + shake_256(b"garbage").digest(_CHUNK)
# Close with RST instead of FIN, as a kernel does whose process was killed or whose port nobody listens on.
_RESET: Final = struct.pack("ii", 1, 0)


class Fault(Enum):
    """What is wrong between client and server."""

    NONE = "nothing"
    LATENCY = "every request and every answer is late"
    SILENCE = "connections are accepted and nothing passes"
    REFUSAL = "the port is closed, and open connections are reset"
    RESET = "the connection is reset once the request was forwarded"
    HALF_OPEN = "connections of before pass nothing any more, without a word; new ones work"
    DRIP = "answers come a byte at a time"
    GARBAGE = "answers are noise"


class FaultProxy:
    """Passes on what clients and one server say, as far as the fault lets it. `port` stays the same throughout."""

    def __init__(self, host: str, port: int) -> None:
        self.connections = 0  # accepted so far
        self.requests = 0  # received so far: writes of clients, each of which is one for drivers that write once
        self._server = (host, port)
        self._lock = threading.RLock()
        self._pairs: set[_Pair] = set()
        self._fault, self._latency_s = Fault.NONE, 0.0
        self._first, self._last = 0, 0  # the requests that the fault is for
        self._door = bound(0)
        self.port: int = self._door.getsockname()[1]
        self._open_door()

    def switch(self, fault: Fault, *, latency_s: float = 0.0, after: int = 0, times: int = _ALWAYS) -> None:
        """Have `fault` from now on; or from when `after` more requests came, and then for so many of them."""
        with self._lock:
            self._fault, self._latency_s = fault, latency_s
            self._first, self._last = self.requests + after + 1, self.requests + after + times
        if not self._porter.is_alive():
            self._open_door()
        if after == 0:
            self._begin()

    def lead_to(self, url: str) -> None:
        """Pass new connections on to another server, as a name does that has moved. Those of before stay."""
        self._server = (HOST, int(urlsplit(url).port or 0))

    def close(self) -> None:
        """End every connection and take no more."""
        self._shut_door()
        self._door.close()

    def _begin(self) -> None:
        """Do what a fault does at once, to all connections."""
        if self._fault is Fault.REFUSAL:
            self._shut_door()
        elif self._fault is Fault.HALF_OPEN:
            with self._lock:
                for pair in self._pairs:
                    pair.frozen = True

    def _open_door(self) -> None:
        self._door.listen()
        self._porter = threading.Thread(target=self._accept, args=[self._door], daemon=True)
        self._porter.start()

    def _shut_door(self) -> None:
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)  # wakes the porter
        self._porter.join()
        self._door.close()
        self._door = bound(self.port)  # bound but not listening: refuses, and nobody else can take the port meanwhile
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.reset()

    def _accept(self, door: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = door.accept()
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
        """Pass on requests until the client ends the connection, or `_Pair.reset` does."""
        with suppress(OSError):
            while data := pair.client.recv(_CHUNK):
                fault = self._count()
                if pair.frozen or fault is Fault.SILENCE:
                    continue
                if fault is Fault.LATENCY:
                    time.sleep(self._latency_s)
                pair.muted = fault in (Fault.RESET, Fault.REFUSAL)
                if fault is not Fault.REFUSAL:
                    pair.server.sendall(data)
                if pair.muted:
                    pair.reset()
                    break
        with self._lock:
            self._pairs.discard(pair)
        pair.close()

    def _answer(self, pair: _Pair) -> None:
        """Pass on answers until the server ends the connection."""
        with suppress(OSError):
            while data := pair.server.recv(_CHUNK):
                fault = self._current()
                if pair.muted or pair.frozen or fault is Fault.SILENCE:
                    continue
                if fault is Fault.LATENCY:
                    time.sleep(self._latency_s)
                step = 1 if fault is Fault.DRIP else len(data)
                for at in range(0, len(data), step):
                    piece = data[at : at + step]
                    pair.client.sendall(_NOISE[: len(piece)] if fault is Fault.GARBAGE else piece)
                    if fault is Fault.DRIP:
                        time.sleep(_DRIP_S)
        if not (pair.frozen or self._current() is Fault.SILENCE):
            with suppress(OSError):
                pair.client.shutdown(socket.SHUT_RDWR)  # ends `_ask`, which closes both

    def _count(self) -> Fault:
        """Count a request, and return the fault that it meets."""
        with self._lock:
            self.requests += 1
            begins = self.requests == self._first
        if begins and self._porter.is_alive():
            self._begin()
        return self._current()

    def _current(self) -> Fault:
        with self._lock:
            return self._fault if self._first <= self.requests <= self._last else Fault.NONE


class _Pair:
    """A client's connection to us, and ours to the server for it."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.asking = threading.current_thread()
        self.frozen = False  # nothing passes any more, and neither side is told
        self.muted = False  # requests pass, answers do not
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def reset(self) -> None:
        """End the client's connection with RST. It goes out once nobody reads from the socket any more."""
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
    """A proxy in front of the server of `url`, for now without fault, and the URL that leads through it."""
    parts = urlsplit(url)
    proxy = FaultProxy(parts.hostname or HOST, parts.port or 0)
    credentials, at, _ = parts.netloc.rpartition("@")
    try:
        yield proxy, urlunsplit(parts._replace(netloc=f"{credentials}{at}{HOST}:{proxy.port}"))
    finally:
        proxy.close()

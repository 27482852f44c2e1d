"""Servers that are none: they accept connections and do as they are told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

__all__ = ["pretender", "scripted"]


@contextmanager
def scripted(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that does `serve` with each connection and then ends it. Yields its URL."""

    def run(connection: socket.socket) -> None:
        with closing(connection), suppress(OSError):
            serve(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=run, args=[connection], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def pretender(reply: bytes | None) -> Iterator[str]:
    """A server that answers everything with `reply`, or with nothing. Yields its URL."""

    def serve(connection: socket.socket) -> None:
        while connection.recv(65536):
            if reply is not None:
                connection.sendall(reply)

    with scripted(serve) as url:
        yield url

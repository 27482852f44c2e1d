"""Fake cache servers: they accept connections, and a test decides what they answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

__all__ = ["fixed_reply_server", "scripted_server"]


@contextmanager
def scripted_server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Run a server that calls `serve` with each connection, then closes it. Yields its URL."""

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
def fixed_reply_server(reply: bytes | None) -> Iterator[str]:
    """Run a server that answers each request with `reply`, or never answers. Yields its URL."""

    def serve(connection: socket.socket) -> None:
        while connection.recv(65536):
            if reply is not None:
                connection.sendall(reply)

    with scripted_server(serve) as url:
        yield url

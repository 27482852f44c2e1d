"""A server whose every reply a case decides: it reads what a driver sends, and answers with prepared bytes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

__all__ = ["serving"]


@contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Run a server that calls `serve` with each connection, then closes it. Yields its port."""

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
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)

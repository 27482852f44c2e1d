"""Lets containers reach servers that listen only on 127.0.0.1 of this machine."""

import errno
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread


@contextmanager
def forwarded(address: str, targets: Iterable[tuple[str, int]]) -> Iterator[None]:
    """Within the block, forward connections from each target's port on `address` to the target.

    Does nothing if `address` is not of this machine. The engine then runs in a virtual machine (Docker Desktop), and
    forwards its containers to the loopback address itself.
    """
    with ExitStack() as stack:
        for host, port in targets:
            try:
                server = stack.enter_context(_Forwarder((address, port), (host, port)))
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    break
                raise
            Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            stack.callback(server.shutdown)
        yield


class _Forwarder(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int], target: tuple[str, int]) -> None:
        self.target = target
        super().__init__(address, _Connection)


class _Connection(BaseRequestHandler):
    server: _Forwarder

    def handle(self) -> None:
        with suppress(OSError), socket.create_connection(self.server.target) as target:
            answers = Thread(target=_pump, args=(target, self.request), daemon=True)
            answers.start()
            _pump(self.request, target)
            answers.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Copy until `source` ends, then end `sink` in this direction only: the other one can still finish."""
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)

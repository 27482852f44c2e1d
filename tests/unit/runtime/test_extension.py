"""Requests for events on a connection that is kept: how a response ends, and what happens after the connection did."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Thread

import pytest

from cacheaside.runtime.extension import Extension, Refused

EVENT = b'{"eventType":"INVOKE"}'
OK = b"HTTP/1.1 200 OK\r\n"
REGISTERED = OK + b"Lambda-Extension-Identifier: the-id\r\nContent-Length: 0\r\n\r\n"


class Server:
    """Lambda's server. Each connection sends its `replies` one after the other, then it is closed."""

    def __init__(self) -> None:
        self.replies: list[list[bytes]] = []
        self.requests: list[list[bytes]] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"

    def serve(self, *connections: list[bytes]) -> None:
        def run() -> None:
            for replies in ([REGISTERED], *connections):
                connection, _ = self._socket.accept()
                with connection:
                    self.requests.append([])
                    for reply in replies:
                        self.requests[-1].append(connection.recv(65_536))
                        connection.sendall(reply)

        Thread(target=run, daemon=True).start()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def server() -> Iterator[Server]:
    with closing(Server()) as server:
        yield server


def registered(server: Server) -> Extension:
    """Return an extension that has registered, on a connection that the server then closed."""
    extension = Extension(server.address)
    extension.register()
    return extension


def invoked(extension: Extension) -> None:
    extension.ask()
    extension.await_invoke()


def sized(body: bytes = EVENT) -> bytes:
    return OK + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def test_events_are_asked_for_on_one_connection(server: Server) -> None:
    server.serve([sized(), sized(), sized()])
    extension = registered(server)
    for _ in range(3):
        invoked(extension)
    _, requests = server.requests
    assert (
        requests
        == [
            b"GET /2020-01-01/extension/event/next HTTP/1.1\r\n"
            b"Host: %s\r\nLambda-Extension-Identifier: the-id\r\n\r\n" % server.address.encode()
        ]
        * 3
    )


def chunked() -> bytes:
    return OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n%s\r\n11;x=y\r\n%s\r\n0\r\n\r\n" % (EVENT[:5], EVENT[5:])


@pytest.mark.parametrize("response", [sized, chunked, lambda: sized(b"x" * 100_000)])
def test_the_next_response_begins_where_the_last_one_ended(server: Server, response: Callable[[], bytes]) -> None:
    server.serve([response(), response()])
    extension = registered(server)
    for _ in range(2):
        invoked(extension)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "last",
    [
        OK + b"\r\n" + EVENT,  # it ends with the connection
        OK + b"Connection: close\r\nContent-Length: 22\r\n\r\n" + EVENT,
        b"HTTP/1.0 200 OK\r\nContent-Length: 22\r\n\r\n" + EVENT,
        sized(),  # the server closes the connection without a word
    ],
)
def test_after_the_end_of_a_connection_the_next_event_comes_on_a_new_one(server: Server, last: bytes) -> None:
    server.serve([last], [sized()])
    extension = registered(server)
    for _ in range(2):
        invoked(extension)
    assert [len(requests) for requests in server.requests] == [1, 1, 1]


def test_a_refusal_is_raised_with_its_reason(server: Server) -> None:
    server.serve([b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!"])
    with pytest.raises(Refused, match="403 no!"):
        invoked(registered(server))


def test_a_server_that_is_gone_or_speaks_no_http_is_an_error(server: Server) -> None:
    server.serve([b"SSH-2.0\r\n"])
    extension = registered(server)
    with pytest.raises(Refused, match="no HTTP"):
        invoked(extension)
    server.close()
    with pytest.raises(OSError, match="refused"):
        invoked(extension)


def test_a_length_that_is_no_number_is_an_error(server: Server) -> None:
    server.serve([OK + b"Content-Length: x\r\n\r\n"])
    with pytest.raises(Refused, match="invalid literal"):
        invoked(registered(server))

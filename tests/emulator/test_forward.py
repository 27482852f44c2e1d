"""Connections are forwarded to a server on 127.0.0.1 within a block, and not after it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from local.containers.forward import forwarded

ADDRESS = "127.0.0.2"  # an address of this machine on which no server listens


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        yield server


def test_each_direction_is_forwarded_until_its_sender_has_ended(server: socket.socket) -> None:
    port = server.getsockname()[1]
    with forwarded(ADDRESS, [("127.0.0.1", port)]), socket.create_connection((ADDRESS, port), timeout=30) as client:
        served, _ = server.accept()
        with served:
            client.sendall(b"question")
            client.shutdown(socket.SHUT_WR)
            assert served.makefile("rb").read() == b"question"
            served.sendall(b"answer")
        assert client.makefile("rb").read() == b"answer"


def test_nothing_listens_after_the_block(server: socket.socket) -> None:
    port = server.getsockname()[1]
    with forwarded(ADDRESS, [("127.0.0.1", port)]):
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((ADDRESS, port), timeout=30)


def test_server_that_is_down_ends_the_connection() -> None:
    with socket.socket() as down:
        down.bind(("127.0.0.1", 0))  # so that no other process opens that port
        port = down.getsockname()[1]
        with forwarded(ADDRESS, [("127.0.0.1", port)]), socket.create_connection((ADDRESS, port), timeout=30) as client:
            assert client.recv(1) == b""


def test_address_of_another_machine_is_not_forwarded() -> None:
    with forwarded("192.0.2.255", [("127.0.0.1", 9)]):  # reserved for documentation (RFC 5737)
        pass

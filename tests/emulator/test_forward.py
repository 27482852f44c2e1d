"""Containers reach servers of this machine through a door that is open only while they need it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from local.containers.forward import forwarded

GATEWAY = "127.0.0.2"  # an address of this machine that no server listens on, as the gateway of a network is


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        yield server


def test_both_sides_hear_each_other_until_each_has_ended(server: socket.socket) -> None:
    port = server.getsockname()[1]
    with forwarded(GATEWAY, [("127.0.0.1", port)]), socket.create_connection((GATEWAY, port), timeout=30) as client:
        served, _ = server.accept()
        with served:
            client.sendall(b"question")
            client.shutdown(socket.SHUT_WR)
            assert served.makefile("rb").read() == b"question"
            served.sendall(b"answer")
        assert client.makefile("rb").read() == b"answer"


def test_door_is_closed_afterwards(server: socket.socket) -> None:
    port = server.getsockname()[1]
    with forwarded(GATEWAY, [("127.0.0.1", port)]):
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((GATEWAY, port), timeout=30)


def test_server_that_is_down_ends_the_connection() -> None:
    with socket.socket() as down:
        down.bind(("127.0.0.1", 0))  # so that nobody else opens that port
        port = down.getsockname()[1]
        with forwarded(GATEWAY, [("127.0.0.1", port)]), socket.create_connection((GATEWAY, port), timeout=30) as client:
            assert client.recv(1) == b""


def test_gateway_of_an_engine_in_a_virtual_machine_needs_no_door() -> None:
    with forwarded("192.0.2.255", [("127.0.0.1", 9)]):  # an address for documentation, and not of this machine
        pass

"""Ports that are reserved for servers that count up from a first one."""

from __future__ import annotations

import socket

import pytest

from local.servers import processes
from local.servers.processes import HOST, reserved_ports


@pytest.fixture(autouse=True)
def two_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be only two blocks, which were free a moment ago."""
    with reserved_ports() as one, reserved_ports() as other:
        monkeypatch.setattr(processes, "_BLOCKS", [one[0] - 1, other[0] - 1])


def test_two_callers_have_no_port_in_common() -> None:
    with reserved_ports() as one, reserved_ports() as other:
        assert set(one).isdisjoint(other)
        with pytest.raises(OSError, match="no 100 successive ports are free"), reserved_ports():
            pass
    with reserved_ports():
        pass


def test_block_with_a_port_in_use_is_left_out() -> None:
    with reserved_ports() as one:
        pass
    with socket.create_server((HOST, one[49])):
        for _ in range(10):
            with reserved_ports() as other:
                assert other != one


def test_error_of_the_caller_is_its_own() -> None:
    with pytest.raises(ConnectionError, match="refused"), reserved_ports():
        raise ConnectionError("refused")

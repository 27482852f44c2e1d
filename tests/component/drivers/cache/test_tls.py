"""TLS: which certificates the driver trusts, and that a handshake has a timeout too."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from cacheaside.drivers.cache import deadline
from cacheaside.drivers.cache.deadline import CALL_S
from cacheaside.reading.steps import Look
from tests.component.support.cache_driver import KEYS, assert_unavailable_soon, cache_at
from tests.component.support.fake_server import fixed_reply_server, scripted_server
from tests.support.authority import Authority


@pytest.fixture
def certified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The TLS context of a server whose certificate the driver trusts."""
    authority = Authority(tmp_path)
    authority.issue(tmp_path, "localhost")
    trusting = ssl.create_default_context(cafile=authority.bundle)
    monkeypatch.setattr(deadline, "tls", lambda: trusting)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    return context


def test_the_driver_speaks_tls_and_gives_up_in_time(certified: ssl.SSLContext) -> None:
    def serve(connection: Any) -> None:
        with certified.wrap_socket(connection, server_side=True) as encrypted:
            while b"lease" in encrypted.recv(65536):
                encrypted.sendall(b"*6\r\n" + b"$-1\r\n" * 6)
            for byte in b"+PONG" * 100:
                encrypted.sendall(bytes([byte]))
                time.sleep(CALL_S / 4)

    with scripted_server(serve) as url:
        cache = cache_at(url.replace("redis://127.0.0.1", "rediss://localhost"))
        for _ in range(2):
            assert cache.look(Look(KEYS)).entry is None
        assert_unavailable_soon(cache.ping)


def test_a_certificate_for_another_host_is_refused(certified: ssl.SSLContext) -> None:
    def serve(connection: Any) -> None:
        certified.wrap_socket(connection, server_side=True).recv(1)

    with scripted_server(serve) as url:
        cache = cache_at(url.replace("redis://", "rediss://"))  # the certificate is for localhost, not for 127.0.0.1
        assert_unavailable_soon(cache.ping)


def test_the_driver_gives_up_in_time_on_a_handshake_that_never_ends() -> None:
    with fixed_reply_server(None) as url:
        assert_unavailable_soon(cache_at(url.replace("redis://", "rediss://")).ping)

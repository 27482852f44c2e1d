"""TLS: whom the driver trusts, and that a handshake is bounded as all else is."""

from __future__ import annotations

import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cacheaside.drivers.cache import deadline
from cacheaside.drivers.cache.deadline import CALL_S
from cacheaside.reading.steps import Look
from tests.component.support.cache_calls import KEYS, cache_at, unavailable_soon
from tests.component.support.pretender import pretender, scripted


@pytest.fixture
def certified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The context of a server that we trust."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "server.pem").write_bytes(secret + certificate.public_bytes(pem))
    trusting = ssl.create_default_context(cadata=certificate.public_bytes(pem).decode())
    monkeypatch.setattr(deadline, "tls", lambda: trusting)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    return context


def test_tls_is_spoken_and_given_up_in_time(certified: ssl.SSLContext) -> None:
    def serve(connection: Any) -> None:
        with certified.wrap_socket(connection, server_side=True) as encrypted:
            while b"lease" in encrypted.recv(65536):
                encrypted.sendall(b"*6\r\n" + b"$-1\r\n" * 6)
            for byte in b"+PONG" * 100:
                encrypted.sendall(bytes([byte]))
                time.sleep(CALL_S / 4)

    with scripted(serve) as url:
        cache = cache_at(url.replace("redis://127.0.0.1", "rediss://localhost"))
        for _ in range(2):
            assert cache.look(Look(KEYS)).entry is None
        unavailable_soon(cache.ping)


def test_a_certificate_of_somebody_else_is_refused(certified: ssl.SSLContext) -> None:
    def serve(connection: Any) -> None:
        certified.wrap_socket(connection, server_side=True).recv(1)

    with scripted(serve) as url:
        cache = cache_at(url.replace("redis://", "rediss://"))  # it is for localhost, not for 127.0.0.1
        unavailable_soon(cache.ping)


def test_a_handshake_that_never_ends_is_given_up_in_time() -> None:
    with pretender(None) as url:
        unavailable_soon(cache_at(url.replace("redis://", "rediss://")).ping)

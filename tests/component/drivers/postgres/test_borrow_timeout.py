"""RDS Proxy has no database connection to lend within ConnectionBorrowTimeout: 503, whatever form its error has."""

from __future__ import annotations

import socket
import struct
from contextlib import closing

import pytest

from cacheaside.drivers.postgres.queries import Queries
from cacheaside.errors import DatabaseSilent, DatabaseUnavailable, RefusedForNow
from cacheaside.http.problems import problem_of
from cacheaside.reading.steps import Load
from cacheaside.settings import DatabaseSettings
from tests.component.support.fake_server import scripted_server
from tests.component.support.question import question

MESSAGE = b"Timed-out waiting to acquire database connection"
READY = b"Z\0\0\0\5I"
WELCOME = b"R\0\0\0\x08\0\0\0\0" + b"".join(
    b"S" + struct.pack("!i", len(pair) + 4) + pair
    for pair in (
        b"server_version\x0017.0\0",
        b"DateStyle\0ISO, MDY\0",
        b"client_encoding\0UTF8\0",
        b"in_hot_standby\0off\0",
        b"standard_conforming_strings\0on\0",
    )
)


def refused(severity: bytes) -> bytes:
    fields = b"S" + severity + b"\0V" + severity + b"\0C08000\0M" + MESSAGE + b"\0\0"
    return b"E" + struct.pack("!i", len(fields) + 4) + fields


@pytest.mark.parametrize(
    ("on_connect", "on_query"),
    [
        (WELCOME + READY, refused(b"ERROR") + READY),
        (WELCOME + READY, refused(b"FATAL")),  # and the proxy closes the connection
        (refused(b"FATAL"), b""),
    ],
    ids=["error", "fatal", "while connecting"],
)
def test_no_connection_to_borrow_is_503_and_opens_no_breaker(
    database_settings: DatabaseSettings, on_connect: bytes, on_query: bytes
) -> None:
    def serve(client: socket.socket) -> None:
        with closing(client.makefile("rb")) as stream:
            (size,) = struct.unpack("!i", stream.read(4))
            if stream.read(size - 4)[:4] == struct.pack("!i", 80877103):  # SSLRequest
                client.sendall(b"N")
                stream.read(struct.unpack("!i", stream.read(4))[0] - 4)
            client.sendall(on_connect)
            while on_query and stream.read(1) == b"Q":
                stream.read(struct.unpack("!i", stream.read(4))[0] - 4)
                client.sendall(on_query)
                if READY not in on_query:
                    return

    with scripted_server(serve) as url:
        queries = Queries(database_settings._replace(url=f"{url.replace('redis', 'postgresql')}/cacheaside"))
        with pytest.raises((RefusedForNow, DatabaseUnavailable)) as raised:
            queries.load(Load(question("select 1 as one"), 5_000, bypass=False))
    assert not isinstance(raised.value, DatabaseSilent), "which would open the breaker"
    assert problem_of(raised.value).status == 503
    queries.forget()

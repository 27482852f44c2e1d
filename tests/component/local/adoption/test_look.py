"""Servers on which cacheaside cannot work are refused with the reason, before anything changes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from local.acting_roles import acting_options
from local.adoption import look as module
from local.adoption.look import look
from local.errors import LocalError
from local.servers.postgres import PostgresServer
from local.servers.processes import HOST
from tests.component.support.own_database import Owned


@contextmanager
def pooler(server: PostgresServer) -> Iterator[int]:
    """Refuses startup options as pgbouncer does, else relays to the server. Yields its port."""

    def relay(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError), source, target:
            while data := source.recv(65536):
                target.sendall(data)

    def serve(client: socket.socket) -> None:
        startup = client.recv(65536)
        if b"\0options\0" in startup:
            error = b"SFATAL\0VFATAL\0C08P01\0Munsupported startup parameter: options\0\0"
            client.sendall(b"E" + (len(error) + 4).to_bytes(4, "big") + error)
            client.close()
            return
        upstream = socket.create_connection((HOST, server.port))
        upstream.sendall(startup)
        for pair in ((client, upstream), (upstream, client)):
            threading.Thread(target=relay, args=pair, daemon=True).start()

    def accept() -> None:
        with suppress(OSError):
            while True:
                serve(listener.accept()[0])

    with socket.create_server((HOST, 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]


def test_standby_is_refused(new_folder: Callable[[str], Path]) -> None:
    server = PostgresServer(new_folder("standby"), durable=False)
    with server:
        pass
    (server.folder / "data/standby.signal").touch(mode=0o644)
    with server, pytest.raises(LocalError, match="is a standby, and cannot be written to"):
        look(server.url)


def test_server_that_is_too_old_is_refused(shop: Owned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_OLDEST", 990_000)
    with pytest.raises(LocalError, match=r"PostgreSQL 18\S* is too old: the check of the queries needs PostgreSQL 16"):
        look(shop.url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://admin@abc.dsql.us-east-1.on.aws/postgres", "this is Aurora DSQL, which has no triggers"),
        ("shop", "the URL of the database is not like postgresql://"),
        ("postgresql:///shop", "the URL of the database is not like postgresql://"),
        (f"postgresql://ann:secret@{HOST}:1/shop", "Connection refused"),
    ],
)
def test_what_is_no_database_is_refused_without_its_password(url: str, reason: str) -> None:
    with pytest.raises(LocalError, match=reason) as caught:
        look(url)
    assert "secret" not in str(caught.value)


def test_pooler_that_refuses_options_is_told_and_used(shop: Owned, server: PostgresServer) -> None:
    with pooler(server) as port:
        url = f"postgresql://postgres@{HOST}:{port}/shop?sslmode=disable"
        database = look(url)
        assert (database.takes_options, len(database.relations)) == (False, 5)
        options, warning = acting_options(url, [])
        assert (options, warning) == ({}, "")
        options, warning = acting_options(url, ["cacheaside_query"])
        assert options == {}
        assert "unsupported startup parameter: options. To see it, give the address of PostgreSQL itself." in warning


def test_schema_of_another_owner_is_refused(shop: Owned, server: PostgresServer) -> None:
    shop.run("create schema cacheaside")
    with pytest.raises(LocalError, match="the schema cacheaside belongs to postgres"):
        look(server.url_for("maker", "shop"))


def test_tables_of_extensions_partitions_and_system_are_not_listed(shop: Owned) -> None:
    shop.run("create table parted (at date) partition by range (at); create unlogged table part (at date)")
    shop.run("alter table parted attach partition part default; create temporary table mine (id integer)")
    found = {each.name: each.unwatchable for each in look(shop.url).relations}
    assert found.keys() == {"customers", "alembic_version", "visits", "sales.orders", "sales.totals", "parted"}
    assert found["parted"] == "it is not a permanent table, and a crash can empty it"

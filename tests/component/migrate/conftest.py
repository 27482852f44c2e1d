"""A database for each test, on the server of the session: an empty one, or one with the whole schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from local.servers.postgres import PostgresServer
from migrate.upgrade import upgrade
from tests.component.support.session import Session

_numbers = count(1)


@pytest.fixture
def database(postgres: PostgresServer, sql: Callable[..., Any]) -> Iterator[str]:
    """The name of an empty database."""
    name = f"empty_{next(_numbers)}"
    sql(f"create database {name}")
    yield name
    sql(f"drop database {name} with (force)")


@pytest.fixture
def connect(postgres: PostgresServer, database: str) -> Iterator[Callable[..., Connection]]:
    """Opens connections to that database, as its owner or as one of the roles."""
    opened: list[Connection] = []

    def connect(role: str = "postgres") -> Connection:
        opened.append(psycopg2.connect(postgres.url_for(role, database)))
        return opened[-1]

    yield connect
    for each in opened:
        with closing(each):
            pass


@pytest.fixture(scope="session")
def upgraded(postgres: PostgresServer) -> str:
    """The name of a database with the whole schema. Copying it is faster than upgrading a new one."""
    with closing(psycopg2.connect(postgres.url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("create database upgraded")
    with closing(psycopg2.connect(postgres.url_for("postgres", "upgraded"))) as connection:
        upgrade(connection)
    return "upgraded"


@pytest.fixture
def session(postgres: PostgresServer, upgraded: str, sql: Callable[..., Any]) -> Iterator[Session]:
    """The owner of an upgraded database."""
    name = f"upgraded_{next(_numbers)}"
    sql(f"create database {name} template {upgraded}")
    with closing(Session(postgres, name)) as session:
        yield session
    sql(f"drop database {name} with (force)")

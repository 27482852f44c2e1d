"""A server as a user has it: without the roles of cacheaside. And a copy of this project with a small sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from local.servers.postgres import PostgresServer
from tests.component.support.checkout import copy_project
from tests.component.support.own_database import Owned, owned_database, ship_sample

# An owner who may create roles, and two who may not.
USERS = "create role maker login createrole; create role plain login; create role other login"


@pytest.fixture(scope="session")
def untouched(new_folder: Callable[[str], Path]) -> Iterator[PostgresServer]:
    with PostgresServer(new_folder("untouched"), durable=False) as server:
        with closing(psycopg2.connect(server.url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(USERS)
        yield server


@pytest.fixture
def server(untouched: PostgresServer) -> Iterator[PostgresServer]:
    yield untouched
    with closing(psycopg2.connect(untouched.url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("drop role if exists cacheaside_query, cacheaside_command, cacheaside_invalidate")


@pytest.fixture
def shop(server: PostgresServer) -> Iterator[Owned]:
    """A database of a superuser."""
    with owned_database(server, "postgres", "shop") as shop:
        yield shop


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = copy_project(tmp_path / "checkout").folder
    ship_sample(folder)
    return folder

"""The plan of a query in a database without our schema, or where the session has no right to use it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2.extensions import connection

from local.explain.plan import read_plan
from local.servers.postgres import PostgresServer
from tests.component.support.question import question
from tests.component.support.sql import Sql


@pytest.fixture
def reporter(postgres: PostgresServer, sql: Sql) -> Iterator[connection]:
    """A session that may read all tables, and is no member of our roles."""
    sql("create role reporter login in role pg_read_all_data")
    url = postgres.url.replace("//postgres@", "//reporter@")
    with closing(psycopg2.connect(url)) as session:
        yield session
    sql("drop role reporter")


@pytest.mark.parametrize("analyze", [False, True])
def test_a_session_without_our_roles_gets_a_plan(reporter: connection, analyze: bool) -> None:
    plan = read_plan(reporter, question("select name from products where id = 42"), analyze=analyze)
    assert plan.refused == ""
    assert plan.not_as_role
    assert "Scan on products" in plan.lines[0]

"""Whatever DDL and DML happens, no cached answer is served that the database would not give.

Hypothesis writes the transactions of two sessions (`ddl_statements`). The model of the cache knows only tags.
`make ddl` runs more examples than `make test`, and both print the number of steps.
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import Any, Final

import psycopg2
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from local.servers.postgres import PostgresServer
from tests.component.support.ddl_machine import DdlMachine
from tests.component.support.ddl_world import DEPLOY, PREPARE, TENANT, WATCHED, WORLD

SETTINGS: Final = settings(
    max_examples=int(os.environ.get("DDL_EXAMPLES", "60")),
    stateful_step_count=40,
    deadline=None,
    derandomize="CI" in os.environ,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def world(postgres: PostgresServer, upgraded: str) -> str:
    """The name of a database with the watched tables, to copy."""
    run(postgres.url, f"create role {TENANT}", "create database ddl_world template " + upgraded)
    url = postgres.url_for("postgres", "ddl_world")
    run(url, "drop table customers, orders, order_items, products cascade", PREPARE)
    run(url, *WORLD[1:], *(f"select cacheaside.watch('{name}')" for name in WATCHED), DEPLOY)
    return "ddl_world"


def run(url: str, *statements: str) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


def test_no_answer_is_stale_after_any_ddl(postgres: PostgresServer, world: str) -> None:
    factory: Any = lambda: DdlMachine(postgres, world)  # noqa: E731 - Hypothesis declares a type here
    try:
        run_state_machine_as_test(factory, settings=SETTINGS)
    finally:
        print(dict(DdlMachine.done))

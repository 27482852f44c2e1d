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
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from cacheaside.drivers.cache.cache import Cache
from cacheaside.settings import CacheSettings
from local.servers.postgres import PostgresServer
from tests.component.support.ddl_machine import DdlMachine, StaleAnswer, SweptMachine, UnfollowedMachine
from tests.component.support.ddl_stack import StackMachine
from tests.component.support.ddl_world import DEPLOY, PREPARE, TENANT, WATCHED, WORLD

EXAMPLES: Final = int(os.environ.get("DDL_EXAMPLES", "20"))
SETTINGS: Final = settings(
    stateful_step_count=40,
    deadline=None,
    derandomize="CI" in os.environ,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def world(postgres: PostgresServer, upgraded: str) -> str:
    """The name of a database with the watched tables, to copy."""
    execute(postgres.url, f"create role {TENANT}", f"create database ddl_world template {upgraded}")
    url = postgres.url_for("postgres", "ddl_world")
    execute(url, "drop table customers, orders, order_items, products cascade", PREPARE)
    execute(url, *WORLD[1:], *(f"select cacheaside.watch('{name}')" for name in WATCHED), DEPLOY)
    return "ddl_world"


@pytest.fixture(scope="module")
def swept_world(postgres: PostgresServer, world: str) -> str:
    """The same without event triggers."""
    execute(postgres.url, f"create database ddl_world_swept template {world}")
    url = postgres.url_for("postgres", "ddl_world_swept")
    execute(url, "drop event trigger cacheaside_follow_schema; drop event trigger cacheaside_follow_drop")
    return "ddl_world_swept"


def execute(url: str, *statements: str) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


def run(machine: type[DdlMachine], examples: int, *arguments: Any, **search: Any) -> None:
    factory: Any = lambda: machine(*arguments)  # noqa: E731 - Hypothesis declares a type here
    machine.done.clear()
    try:
        run_state_machine_as_test(factory, settings=settings(SETTINGS, max_examples=examples, **search))
    finally:
        print(machine.__name__, *(f"{count:,} {what}" for what, count in machine.done.items()), sep=", ")


def test_no_answer_is_stale_after_any_ddl(postgres: PostgresServer, world: str) -> None:
    run(DdlMachine, EXAMPLES, postgres, world)


def test_without_event_triggers_no_answer_is_stale_after_the_sweep(postgres: PostgresServer, swept_world: str) -> None:
    run(SweptMachine, EXAMPLES // 2, postgres, swept_world)


def test_no_answer_of_the_whole_stack_is_stale_after_any_ddl(
    postgres: PostgresServer, world: str, cache_settings: CacheSettings, client: redis.Redis
) -> None:
    run(StackMachine, EXAMPLES // 4, postgres, world, Cache(cache_settings), client)


def test_machine_finds_a_stale_answer_where_nothing_follows_the_schema(
    postgres: PostgresServer, swept_world: str
) -> None:
    with pytest.raises(StaleAnswer):
        run(UnfollowedMachine, 100, postgres, swept_world, derandomize=True, phases=[Phase.generate])

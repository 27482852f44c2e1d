"""Queries that PostgreSQL accepts, and of which a cache or its verifier makes no use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.servers.postgres import PostgresServer
from tests.component.support.checked_statement import checked_query
from tests.component.support.temporary_database import temporary_database

SCHEMA = """
    create function hidden() returns integer language plpgsql as 'begin return 1; end';
    create function hidden_stable() returns integer language plpgsql stable as 'begin return 1; end';
    create function shown() returns bigint language sql begin atomic select count(*) from products; end;
    create function hour() returns timestamptz language sql stable return date_trunc('hour', now());
    create view recent as select id from products where created_at > current_date;
    create operator === (function = int4eq, leftarg = integer, rightarg = integer);
"""


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> Iterator[str]:
    with temporary_database(postgres, "warnings", SCHEMA) as url:
        yield url


def warnings(url: str, folder: Path, sql: str, settings: str = 'ttl = "60s"') -> list[str]:
    tags = [name for name in ("products", "hidden", "hidden_stable") if f"{name}()" in sql or f"{name} " in sql + " "]
    if "recent" in sql or "shown" in sql:
        tags = ["products"]
    checked = checked_query(url, folder, sql, *tags, settings=settings)
    assert checked.problems == ()
    return [each.message for each in checked.warnings]


@pytest.mark.parametrize(
    ("sql", "part"),
    [
        ("select now()", "now()"),
        ("select id from products where created_at > now() - interval '1 day'", "now()"),
        ("select current_date", "the current date or time"),
        ("select id from products where created_at > localtimestamp", "the current date or time"),
        ("select clock_timestamp()", "clock_timestamp()"),
        ("select statement_timestamp()", "statement_timestamp()"),
        ("select age(created_at) from products", "the current date or time"),
        ("select 'now'::timestamptz as t", "the current date or time"),
        ("select date 'yesterday' as t", "the current date or time"),
        ("select cast(' TODAY ' as date) as t", "the current date or time"),
        ("select id from products order by random() limit 1", "random()"),
        ("select gen_random_uuid()", "gen_random_uuid()"),
        ("select current_setting('app.tenant', true) as tenant", "current_setting()"),
        ("select id from products tablesample system (10)", "tablesample"),
        ("select hidden()", "hidden()"),
        ("select hour()", "now()"),
        ("select * from recent", "the current date or time"),
        ("select 1 as n where false and random() > 1", "random()"),
    ],
)
def test_answer_that_changes_without_a_write_is_warned_of(url: str, tmp_path: Path, sql: str, part: str) -> None:
    [warning] = warnings(url, tmp_path, sql)
    assert f"it depends on {part}" in warning
    assert "-- verify = false" in warning
    assert warnings(url, tmp_path, sql, 'ttl = "60s"\n-- verify = false') == []


@pytest.mark.parametrize(
    "sql",
    [
        "select created_at::text as t, date_trunc('day', created_at) from products where created_at > '2024-01-01'",
        "select 'now' as word, upper('today') as other from products",
        "select id from products tablesample system (10) repeatable (1)",
        "select age(created_at, created_at) from products",
        "select hidden_stable()",
        "select shown()",
        "select current_user",
        "select 1 === 2 as n",
    ],
)
def test_answer_that_only_a_write_changes_is_not_warned_of(url: str, tmp_path: Path, sql: str) -> None:
    assert warnings(url, tmp_path, sql) == []


UNSTEADY = 'timeout = "20s"\n-- verify = false\n-- '


def test_answer_that_is_too_old_when_it_arrives_is_warned_of(url: str, tmp_path: Path) -> None:
    sql = "select pg_sleep(2)::text as slept"
    [warning] = warnings(url, tmp_path, sql, f'{UNSTEADY}ttl = "50ms"')
    assert "the query takes longer than its answer may be used" in warning
    assert warnings(url, tmp_path, sql, f'{UNSTEADY}ttl = "50ms"\n-- stale = "10s"') == []
    assert warnings(url, tmp_path, "select 1 as n", f'{UNSTEADY}ttl = "10s"') == []


def test_sample_value_that_the_query_refuses_is_no_finding(url: str, tmp_path: Path) -> None:
    checked = checked_query(url, tmp_path, "select %(n)s::integer as n", settings='ttl = "1s"', n="text")
    assert (checked.problems, checked.warnings) == ((), ())

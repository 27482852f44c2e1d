"""Queries whose answers change without a write: PostgreSQL replaces some texts by the time, before any plan exists."""

from __future__ import annotations

import pytest

from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Query
from cacheaside.catalogue_check.facts import Facts, StatementFacts
from cacheaside.catalogue_check.findings import Fix
from cacheaside.catalogue_check.statement_rules import statement_problems, steadiness_warnings

QUERY = Query(
    name="q",
    summary="",
    sql="select 1",
    returns="many",
    timeout_ms=1_000,
    tags=(),
    parameters={},
    policy=Policy(ttl_ms=60_000),
)


def warnings(sql: str, *unsteady: str, verify: bool = True) -> list[str]:
    facts = Facts(read={}, opaque={}, declared={}, unsteady=unsteady)
    return list(steadiness_warnings(QUERY._replace(sql=sql, verify=verify), facts))


@pytest.mark.parametrize(
    "sql",
    [
        *(f"select {type_} 'now'" for type_ in ("date", "time", "timestamp", "timestamptz", "timetz", "DATE", "Time")),
        *(f"select date '{word}'" for word in ("today", "tomorrow", "yesterday", "Now", " now ")),
        *("select date  'now'", "select ' today '::date", "select 'now' :: timestamptz", "select 'now'::time"),
        *("select date'now'", "select timestamp with time zone 'now'", "select time(0) without time zone 'now'"),
        *("select 'now'::pg_catalog.timestamptz", "select cast('now' as pg_catalog.date)"),
        *("select cast('now' as date)", "select CAST ( 'now'  AS timestamp)"),
    ],
)
def test_text_that_means_the_time_is_warned_of(sql: str) -> None:
    [warning] = warnings(sql)
    assert "it depends on the current date or time; write -- verify = false" in warning


@pytest.mark.parametrize(
    "sql",
    [
        *(
            "select 'now'",
            "select 'now'::text",
            "select date '2025-01-01'",
            "select update 'now'",
            "select 'nowhere'::date",
        ),
        *("select cast('now' as text)", "select broadcast('now' as date)", "select date 'not now'"),
    ],
)
def test_other_text_is_not(sql: str) -> None:
    assert warnings(sql) == []


def test_each_reason_is_named_once_and_none_if_the_answers_are_not_verified() -> None:
    [warning] = warnings("select date 'now'", "now()", "random()", "now()")
    assert "it depends on now(), random(), the current date or time; write" in warning
    assert warnings("select date 'now'", "now()", verify=False) == []


def test_right_that_is_missing_comes_with_the_statement_for_a_migration() -> None:
    [(_, fix)] = statement_problems(StatementFacts(grants=("grant select on orders to r",)))
    assert fix == Fix(statement="grant select on orders to r;")

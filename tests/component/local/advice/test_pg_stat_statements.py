"""`cacheaside advise` on a real pg_stat_statements."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from tests.component.local.advice.workload import create_tables, run_statements
from tests.component.support.command_line import CommandLine
from tests.component.support.debian_postgres import debian_postgres


@pytest.fixture(scope="module")
def url(new_folder: Callable[[str], Path]) -> Iterator[str]:
    folder = new_folder("debian")
    with debian_postgres(folder) as url:
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            create_tables(cursor, is_mixed=True)
            cursor.execute("create schema monitoring; create extension pg_stat_statements schema monitoring")
            cursor.execute("create role visitor login")
            run_statements(cursor, is_mixed=True)
            for days in range(5):
                cursor.execute(
                    f"""select date_trunc('year', now() - interval '{days} days' + "Total" * interval '1 day') as year,
                    count(*) from "Invoice"
                    group by date_trunc('year', now() - interval '{days} days' + "Total" * interval '1 day')"""
                )
                cursor.execute(
                    """select coalesce("Total", 7) as t, count(*) from "Invoice" group by coalesce("Total", 7)"""
                )
        yield url


@pytest.fixture
def cacheaside(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    (tmp_path / "catalogue/queries").mkdir(parents=True)
    return CommandLine(tmp_path / "catalogue", capsys, monkeypatch, url)


def test_statements_are_ranked_with_estimated_questions(cacheaside: CommandLine) -> None:
    status, out, _ = cacheaside("advise", "--json")
    found = json.loads(out)
    assert (status, found["source"]) == (0, "pg_stat_statements")
    by_sql = {" ".join(each["sql"].split()): each for each in found["candidates"]}
    [lines] = [each for sql, each in by_sql.items() if "any ($2)" in sql]
    # Nine customers; all lines have the same quantity.
    assert (lines["calls"], lines["questions"], lines["questions_are"]) == (30, 9, "estimated")
    [countries] = [each for each in by_sql.values() if each["tables"] == ['"Customer"']]
    assert countries["writes_per_minute"] > 0
    assert 'select coalesce("Total", $1) as t, count(*) from "Invoice" group by coalesce("Total", $1)' in by_sql
    reasons = {each["reason"] for each in found["left_out"]}
    assert reasons >= {"another answer each time: random()", "locks rows", "writes"}


def test_writing_says_what_is_missing(cacheaside: CommandLine) -> None:
    status, _, err = cacheaside("advise", "--write", "1")
    assert (status, list(cacheaside.catalogue.glob("*/*"))) == (3, [])
    assert "needs 16 or later" in err or "cacheaside init" in err  # as Debian's version is


def test_user_who_may_not_see_statements_of_others_is_told_the_grant(cacheaside: CommandLine) -> None:
    with closing(psycopg2.connect(cacheaside.url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("grant usage on schema monitoring to visitor")
    cacheaside.url = cacheaside.url.replace("postgres@", "visitor@")
    status, out, _ = cacheaside("advise")
    assert status == 0
    assert "of other users: grant pg_read_all_stats to this one" in out
    assert "There is nothing to cache." in out

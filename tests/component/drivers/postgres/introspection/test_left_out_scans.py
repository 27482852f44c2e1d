"""A plan that leaves a scan out is no proof: the scan may read rows after the next change of data or schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.servers.postgres import PostgresServer
from tests.component.support.checked_statement import checked_query
from tests.component.support.temporary_database import temporary_database

SCHEMA = """
    create table empty (id bigint, day date, primary key (id, day)) partition by range (day);
    create table years (id bigint, day date, primary key (id, day)) partition by range (day);
    create table years_2025 partition of years for values from ('2025-01-01') to ('2026-01-01');
    create table years_2026 partition of years for values from ('2026-01-01') to ('2027-01-01') partition by list (id);
    create table hollow (id bigint, day date, primary key (id, day)) partition by range (day);
    create table hollow_2026 partition of hollow default partition by list (id);
    create table checked (id bigint primary key, kind text not null check (kind = 'a'));
    create view two_years as select * from years where day = '2025-01-01' union all select * from years;
    select cacheaside.watch('empty'), cacheaside.watch('years'), cacheaside.watch('hollow');
    select cacheaside.watch('checked');
    alter role cacheaside_query in database left_out set constraint_exclusion = on;
"""


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> Iterator[str]:
    with temporary_database(postgres, "left_out", SCHEMA) as url:
        yield url


def problem(url: str, folder: Path, sql: str, tag: str) -> str:
    """Return the one problem with `tag`, "" if there is none."""
    types = {"id": "integer", **({"day": "date"} if "%(day)s" in sql else {})}
    tags = [tag, *(["orders"] if "orders" in sql else [])]
    problems = [each.message for each in checked_query(url, folder, sql, *tags, **types).problems]
    assert len(problems) < 2
    return problems[0] if problems else ""


KEY = "id = %(id)s and day = %(day)s"


@pytest.mark.parametrize(
    ("sql", "tag"),
    [
        # Without partitions there is no scan at all.
        ("select * from empty where id >= %(id)s and day >= %(day)s", "empty:{id},{day}"),
        (f"select * from empty where {KEY}", "empty:{id},{day}"),
        (f"select * from hollow where {KEY}", "hollow:{id},{day}"),
        # No partition of today has these days, and no row this kind.
        (
            f"select id from years where {KEY} union all select id from years where day = '2030-01-01'",
            "years:{id},{day}",
        ),
        (f"select id from years where {KEY} union all select id from two_years where {KEY}", "years:{id},{day}"),
        (
            "with c as not materialized (select * from checked where id = %(id)s) "
            "select c.kind from c cross join c as d union all select kind from checked where kind is null",
            "checked:{id}",
        ),
        ("select * from checked where kind = 'b' or (id = %(id)s and kind = 'c')", "checked:{id}"),
        # The planner proves that nothing is read, which may end with the next change of the schema.
        ("select * from checked where false and id <> %(id)s", "checked:{id}"),
        ("select * from checked where kind is null and id <> %(id)s", "checked:{id}"),
        ("select id from checked where id = %(id)s union all select id from checked where false", "checked:{id}"),
        ("select orders.id, %(id)s as n from orders left join checked using (id)", "checked:{id}"),
        ("select case when true then %(id)s else (select max(id) from checked) end as n", "checked:{id}"),
        ("with unused as (select from checked) select kind from checked where id = %(id)s", "checked:{id}"),
        ("select n from (select %(id)s as n, (select max(id) from checked) as unused) as part", "checked:{id}"),
    ],
)
def test_scan_that_the_plan_leaves_out_proves_nothing(url: str, tmp_path: Path, sql: str, tag: str) -> None:
    found = problem(url, tmp_path, sql, tag)
    assert f'"{tag}" is not enough' in found
    assert problem(url, tmp_path, sql, tag.partition(":")[0]) == ""


@pytest.mark.parametrize(
    ("sql", "tag"),
    [
        (f"select * from years where {KEY}", "years:{id},{day}"),
        (f"select * from years_2025 where {KEY}", "years:{id},{day}"),
        (f"select * from years where {KEY} and day >= '2026-01-01'", "years:{id},{day}"),
        ("select * from checked where id = %(id)s and kind = 'b'", "checked:{id}"),
        ("select one.* from checked as one join checked as same using (id) where id = %(id)s", "checked:{id}"),
        ("select min(kind), max(kind) from checked where id = %(id)s", "checked:{id}"),
        (
            "with part as not materialized (select * from checked where id = %(id)s) select * from part",
            "checked:{id}",
        ),
    ],
)
def test_row_tag_is_enough_where_the_plan_has_every_scan(url: str, tmp_path: Path, sql: str, tag: str) -> None:
    assert problem(url, tmp_path, sql, tag) == ""

"""What a caller gets: a value has its declared type, and a column any name."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.component.support.api import Api
from tests.component.support.declared import declared_command, declared_query
from tests.component.support.sql import Sql

CASES: Final = [
    ("select %(x)s / 2 as it", {"x": ("number", 7)}, 3.5),
    ("select sum(quantity) * %(pct)s / 100 as it from generate_series(1, 8) as quantity", {"pct": ("number", 7)}, 2.52),
    ("select %(n)s::text as it", {"n": ("integer", -5)}, "-5"),
    ("select 7 -%(n)s as it", {"n": ("integer", -5)}, 12),
    ("select pg_typeof(%(n)s)::text as it", {"n": ("integer", 7)}, "bigint"),
    ("select %(n)s is null as it from (select %(n)s) as given", {"n": ("integer[]", [])}, False),
    ("select array_length(%(n)s || 4::bigint, 1) as it", {"n": ("integer[]", [])}, 1),
]


@pytest.mark.parametrize(("sql", "given", "right"), CASES)
def test_value_has_its_declared_type(api: Api, sql: str, given: dict[str, tuple[str, Any]], right: object) -> None:
    types = {name: kind for name, (kind, _) in given.items()}
    values = {name: value for name, (_, value) in given.items()}
    assert declared_command(api, sql, **types)(**values).json["data"] == [{"it": right}]
    if not any(value == [] for value in values.values()):  # a URL cannot say it
        assert declared_query(api, sql, **types)(**values).json["data"] == [{"it": right}]


def test_page_that_is_far_away_is_empty(api: Api) -> None:
    sql = "select id from products order by id offset (%(page)s - 1) * %(size)s limit %(size)s"
    ask = declared_query(api, sql, page="integer", size="integer")
    assert ask(page=30_000_000, size=100).json["data"] == []
    assert len(ask(page=1, size=3).json["data"]) == 3


@pytest.mark.parametrize("name", ["answer", "result", "statement", "row", "data", "*", "answer.*", "%(x)s", "{}", "Ä"])
def test_column_may_have_any_name(api: Api, sql: Sql, name: str) -> None:
    column = '"' + name.replace("%", "%%") + '"'
    sql(f"create table faq (id integer, {column} text)")
    sql("insert into faq values (1, 'because')")
    sql("grant select, update on faq to cacheaside_query, cacheaside_command")
    try:
        asked = declared_query(api, f"select id, {column} from faq")()
        assert asked.json["data"] == [{"id": 1, name: "because"}]
        written = declared_command(api, f"update faq set id = 2 returning id, {column}")()
        assert written.json["data"] == [{"id": 2, name: "because"}]
    finally:
        sql("drop table faq")

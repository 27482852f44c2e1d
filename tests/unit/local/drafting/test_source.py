"""SQL with placeholders of either style, as PostgreSQL and the catalogue want it."""

from __future__ import annotations

import pytest

from local.drafting.header import with_line
from local.drafting.outline import Place
from local.drafting.parameters import parameter_names, snake_case
from local.drafting.source import SourceSql
from local.errors import LocalError


@pytest.mark.parametrize(
    ("given", "numbered", "catalogue"),
    [
        ("select $2, $1 ; -- end", "select $2, $1", "select <2>, <1>"),
        ("select '$1', $1, 5 % 2", "select '$1', $1, 5 % 2", "select '$1', <1>, 5 %% 2"),
        ("select %(b)s, %(a)s, %(b)s", "select $1, $2, $1", "select <b>, <a>, <b>"),
        ("select %(a)s like '50%%'", "select $1 like '50%'", "select <a> like '50%%'"),
        ("select a like '50%' from t", "select a like '50%' from t", "select a like '50%%' from t"),
        ("select $$;$$", "select $$;$$", "select $$;$$"),
    ],
)
def test_placeholders(given: str, numbered: str, catalogue: str) -> None:
    source = SourceSql.parse(given)
    assert source.numbered == numbered
    assert source.in_catalogue({name: f"<{name}>" for name in source.names}) == catalogue


@pytest.mark.parametrize(
    "sql", ["select 1; drop table t", " ; ", "", "-- nothing", "select '%(a)s', %(a)s", "select %(a b)s"]
)
def test_what_is_no_single_statement_is_refused(sql: str) -> None:
    with pytest.raises(LocalError):
        SourceSql.parse(sql)


def test_parameters_are_named_after_columns() -> None:
    at_least, below = Place("compared", "PlacedAt", 1, 1), Place("compared", "PlacedAt", 1, 2)
    places = [at_least, below, Place("limit"), None, Place("compared", "用户"), Place("compared", "limit")]
    names = parameter_names([*"123456"], places, {1: ">=", 2: "<"})
    assert names == ("placed_at_from", "placed_at_to", "limit", "p4", "p5", "limit_2")


def test_given_names_are_kept_as_far_as_a_tag_can_have_them() -> None:
    places = [Place("compared", "id"), None, None]
    assert parameter_names(["shelf", "CustomerId", "a_1"], places, {}) == ("shelf", "customer_id", "a_1")


def test_names_in_mixed_case_are_split_into_words() -> None:
    assert [snake_case(name) for name in ("InvoiceLine", "HTTPStatus", "a_b2", "2x", "é")] == [
        "invoice_line", "http_status", "a_b2", "", "",
    ]  # fmt: skip


def test_setting_of_several_lines_is_replaced_as_a_whole() -> None:
    text = '-- ttl = "60s"\n-- tags = [\n--   "a",\n-- ]\n-- verify = false\nselect 1\n'
    assert with_line(text, 2, '-- tags = ["b"]') == '-- ttl = "60s"\n-- tags = ["b"]\n-- verify = false\nselect 1\n'

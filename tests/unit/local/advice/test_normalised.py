"""Statements that differ in values only are one, and their SQL can be given to PostgreSQL again."""

from __future__ import annotations

from decimal import Decimal

import pytest

from local.advice.normalised import fingerprint, normalise, with_shared_parameters


@pytest.mark.parametrize(
    ("sql", "key"),
    [
        ("select * from t where id = 7 -- seven\n;", "select * from t where id = $1"),
        ("select 'it''s', \"2\" from t2 where a1 = -5", 'select $1, "2" from t2 where a1 = $2'),
        ("select a - 5 from t", "select a - $1 from t"),
        ("select a from t where b in (1, 2)", "select a from t where b = any ($1)"),
        ("select a from t where b not in ('x')", "select a from t where b <> all ($1)"),
        ("select a from t where b in (select 1)", "select a from t where b in (select $1)"),
        ("select a from t where b in ($1 /*, ... */)", "select a from t where b = any ($1)"),  # PostgreSQL 18
        ("select interval '1 day', date '2025-01-01'", "select $1::interval, $2::date"),
        ("select interval $1", "select $1::interval"),
        ("select extract($1 from t.at) from t", "select date_part($1, t.at) from t"),
        ("select a::numeric(10, 2) from t order by 1, 2 desc", "select a::numeric(10, 2) from t order by 1, 2 desc"),
        ("select a from t group by a, 2 limit 5", "select a from t group by a, 2 limit $1"),
        ("select a from t order by a limit 5", "select a from t order by a limit $1"),
        ("select $$a$$, E'a\\'b', x'1f', 1.5e3", "select $1, $2, x'1f', $3::numeric"),
        ("select a from t where b = $2 and (c = $1 or $2 > 3)", "select a from t where b = $1 and (c = $2 or $1 > $3)"),
    ],
)
def test_values_become_parameters(sql: str, key: str) -> None:
    assert normalise(sql).key == key


def test_values_are_known() -> None:
    one = normalise("select 'it''s' from t where a = -5 and b > 1.5 and c in (1, 2) and d = $1", {1: "x"})
    assert [slot.value for slot in one.slots] == ["it's", -5, Decimal("1.5"), [1, 2], "x"]


def test_constants_stay_as_they_were_written() -> None:
    one = normalise("select a\nfrom t\nwhere b in ('x', 'y') and at > now() - interval '1 day' and c = 7")
    sql, parameters = one.sql(lambda at: at < 2)
    assert sql == "select a\nfrom t\nwhere b in ('x', 'y') and at > now() - interval '1 day' and c = $1"
    assert parameters == {"1": 2}


def test_statement_of_the_catalogue_is_recognised() -> None:
    recorded = "SELECT * FROM t WHERE a = 7 AND b > 1.5 AND c LIKE '%x' AND d in (1, 2)"
    drafted = "select * from t where a = %(a)s and b > %(b)s::numeric and c like '%%x' and d = any (%(d)s::integer[])"
    assert fingerprint(drafted) == fingerprint(normalise(recorded).key)
    assert fingerprint(drafted) != fingerprint("select * from t where a = 7")


def test_repeated_constant_is_one_parameter() -> None:
    sql = "select date_trunc($1, at), lower($2) from t where a = $3 group by date_trunc($4, at)"
    assert with_shared_parameters(sql) == (
        "select date_trunc($1, at), lower($2) from t where a = $3 group by date_trunc($1, at)"
    )

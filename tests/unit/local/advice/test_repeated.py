"""What is remembered of a shape changes nothing in what `normalise` finds."""

from __future__ import annotations

from typing import Any

import pytest

from local.advice.normalised import normalise
from local.advice.repeated import Normaliser


@pytest.mark.parametrize(
    "template",
    [
        "select * from t where a = {n} and b = '{s}'",
        "select * from t where a = {n}.5 and b = 'it''s {s}'",
        "select * from t where a in ({n}, 7) and b not in ('{s}')",
        """select "a{n}" from "T" where "b" = '{s}' and c = {n}""",
        "select * from t where a = -{n}",
        "select a, count(*) from t where a > {n} group by 1 order by {n}",
        "select a, count(*) from t where a > {n} group by {n} order by 1, {n} limit {n}",
        "select a::numeric(10, {n}) from t where b = '{s}'",
        "select * from t where at > interval '{n} days' and d = date '2025-01-0{n}'",
        "select * from t where a = e'{s}' and b = {n}",
        "select * from t where a = x'{n}' and b = '{s}'",
        "select * from t where a = $${s}$$ and b = {n}",
        "select * from t /* it's {s} */ where a = {n} -- {s}",
        "select * from t where a = $1 and b in ($2, $3) and c = {n}",
        "select extract('{s}' from at), t{n}.a from t where a = '{s}'::text and b = {n}e3",
    ],
)
def test_second_statement_of_a_shape_has_its_own_values(template: str) -> None:
    normalised = Normaliser()
    for number, text in ((1, "a"), (2, "b"), (3, "3")):
        sql, given = template.format(n=number, s=text), {1: text, 2: None, 3: "x"}
        whole = normalise(sql, given)
        expected: list[Any] = [
            tuple(each.value) if isinstance(each.value, list) else each.value for each in whole.slots
        ]
        assert normalised(sql, given)[:2] == (whole.key, expected)


def test_statements_that_differ_in_values_are_normalised_whole_once() -> None:
    normalised = Normaliser()
    template = """select "a" from "T" where b = '{0}''s' and c in ({0}, 2) and d = $1 order by 1, 2 limit {0}"""
    wholes = [normalised(template.format(number), {1: None})[2] for number in range(5)]
    assert [each is not None for each in wholes] == [True, False, False, False, False]

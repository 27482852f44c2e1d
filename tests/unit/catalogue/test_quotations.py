"""The parts of an SQL text in which nothing is code: comments, strings and quoted names."""

from __future__ import annotations

import pytest

from cacheaside.catalogue.quotations import quotations, unquoted


@pytest.mark.parametrize(
    ("sql", "rest"),
    [
        ("select 1", "select 1"),
        ("select 'a' + 1", "select     + 1"),
        ('select "a b" from t', "select       from t"),
        ("select 1 -- one\n+ 2", "select 1       \n+ 2"),
        ("select /* a /* b */ c */ 1", "select                   1"),
        ("select /* without end", "select                "),
        ("select /* a /* b */", "select             "),
        ("select 'without end", "select             "),
        ("select $$a$$, $b$c$$d$b$", "select      ,            "),
    ],
)
def test_parts_are_blank_and_all_else_stays_at_its_place(sql: str, rest: str) -> None:
    assert unquoted(sql).rstrip() == rest.rstrip()
    assert len(unquoted(sql)) == len(sql)


def test_each_part_is_from_its_first_character_to_its_last() -> None:
    assert [(part.start, part.stop) for part in quotations("a 'b' /*c*/ d")] == [(2, 5), (6, 11)]

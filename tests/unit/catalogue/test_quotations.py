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
        # A dollar begins a part after all but a name.
        ("select a$b$ - c$$d", "select a$b$ - c$$d"),
        ("select $a$$a$$B$b$a$$B$ - c", "select                  - c"),
        ("select %(s)s$a$b$a$ - c", "select %(s)s        - c"),
        ("select 1$a$b$a$ - 1e3$$b$$ - 1_000$$b$$", "select 1        - 1e3      - 1_000     "),
        ("select 0x1F$$b$$ - 1.5$$b$$ - $1$a$b$a$ - c", "select 0x1F      - 1.5      - $1        - c"),
        ("select 10 %%(n)s$a$, ' $a$ || %(p)s", "select 10 %%(n)s$a$,"),
        ("select 10 %%%(p)s$a$ %(p)s $a$", "select 10 %%%(p)s"),
        (r"select 10 %%(n)se'\', 'b %(p)s c'", "select 10 %%(n)se   ,"),
        (r"select E'a\' || %(p)s || \\"[:-1], "select"),
        # An e is a prefix of a string if it is no part of a name.
        (r"select e'\'' - the'\' - c", "select       - the    - c"),
    ],
)
def test_parts_are_blank_and_all_else_stays_at_its_place(sql: str, rest: str) -> None:
    assert unquoted(sql).rstrip() == rest.rstrip()
    assert len(unquoted(sql)) == len(sql)


def test_each_part_is_from_its_first_character_to_its_last() -> None:
    assert [(part.start, part.stop) for part in quotations("'a b' c")] == [(0, 5)]
    assert [(part.start, part.stop) for part in quotations("a 'b' /*c*/ d")] == [(2, 5), (6, 11)]

"""The tags of an answer and the tags of a change to its rows must have at least one in common."""

from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cacheaside.catalogue.parameters import Parameter, Value
from cacheaside.catalogue.tags import changed_tags, check_tag, parameters_of, resolve_tags, spellings, table_of


def parameter(name: str, **options: object) -> Parameter:
    return Parameter(name=name, type="integer", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tag", "values", "depends_on"),
    [
        ("orders", {}, ("orders",)),
        ("products:{id}", {"id": 42}, ("products:42", "products:*")),
        ("order_items:{order_id},{line}", {"order_id": 7, "line": 1}, ("order_items:7,1", "order_items:*")),
        ("days:{day}", {"day": date(2025, 1, 31)}, ("days:2025-01-31", "days:*")),
        ("flags:{on}", {"on": True}, ("flags:true", "flags:*")),
        ("names:{name}", {"name": "{id}: a, b"}, ("names:{id}: a, b", "names:*")),
        ("names:{name}", {"name": "é" * 512}, (f"names:{'é' * 512}", "names:*")),
        ("names:{name}", {"name": "a" * 513}, ("names:*",)),  # such a row is recorded as the table
    ],
)
def test_answer_about_a_row_depends_on_the_row_and_on_changes_of_many(
    tag: str, values: dict[str, Value], depends_on: tuple[str, ...]
) -> None:
    assert resolve_tags([tag], values) == depends_on


def test_two_rows_of_a_table_share_one_tag_for_changes_of_many() -> None:
    assert resolve_tags(["a:{x}", "a:{y}"], {"x": 1, "y": 2}) == ("a:1", "a:*", "a:2")


@pytest.mark.parametrize(
    ("changes", "tags"),
    [
        ([], ()),
        (["products:42"], ("products", "products:42")),
        (["products"], ("products", "products:*")),
        (["products:42", "products"], ("products", "products:*")),
        (["a:1", "b:2", "a:1"], ("a", "a:1", "b", "b:2")),
        (["names:x:y"], ("names", "names:x:y")),
        ([f"a:{row}" for row in range(1_001)], ("a", "a:*")),
    ],
)
def test_change_invalidates_the_table_and_its_rows(changes: list[str], tags: tuple[str, ...]) -> None:
    assert changed_tags(changes) == tags


rows = st.tuples(st.sampled_from("ab"), st.integers(0, 5))


@given(changed=st.lists(st.one_of(rows, st.sampled_from("ab")), min_size=1), asked=rows)
def test_no_answer_survives_a_change_of_its_rows(changed: list[tuple[str, int] | str], asked: tuple[str, int]) -> None:
    table, row = asked
    invalidated = changed_tags(each if isinstance(each, str) else f"{each[0]}:{each[1]}" for each in changed)
    row_is_old = table in changed or asked in changed
    assert row_is_old == bool(set(invalidated) & set(resolve_tags([f"{table}:{{id}}"], {"id": row})))
    table_is_old = any((each if isinstance(each, str) else each[0]) == table for each in changed)
    assert table_is_old == (table in invalidated)


@pytest.mark.parametrize(
    ("tag", "says"),
    [
        (1, "1 is not a tag"),
        ("order lines", "'order lines' is not a tag; .*InvoiceLine"),
        ('"Orders', "is not a tag"),
        ('""', "is not a tag"),
        ('"a"b"', "is not a tag"),
        ("a.b.c", "is not a tag"),
        ('"x":{id', "is not a tag"),
        ('"x{id}', "is not a tag"),
        ("orders:7", "'orders:7' is not a tag"),
        ("orders:{id},", "is not a tag"),
        ("orders:{other}", "names the parameter other, which is not declared"),
        ("orders:{id},{other}", "names the parameter other, which is not declared"),
        ("orders:{many}", "one value that is always there"),
        ("orders:{maybe}", "one value that is always there"),
    ],
)
def test_tag_that_cannot_be_resolved_is_refused(tag: object, says: str) -> None:
    declared = {
        "id": parameter("id"),
        "many": parameter("many", is_list=True),
        "maybe": parameter("maybe", required=False),
    }
    with pytest.raises(ValueError, match=says):
        check_tag(tag, declared)


def printed(schema: str, name: str) -> str:
    """As `cacheaside.tag_of` in PostgreSQL, but for reserved words."""
    quoted = [
        part if re.fullmatch("[a-z_][a-z0-9_]*", part) else '"' + part.replace('"', '""') + '"'
        for part in (schema, name)
    ]
    return quoted[1] if schema == "public" else ".".join(quoted)


identifiers = st.text(st.sampled_from("aZ_9 é\".:,*{}%\\'/\n"), min_size=1, max_size=8) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30
)
tables = st.builds(printed, st.just("public") | identifiers, identifiers)
keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)


@given(table=tables, key=keys)
@example(table='"x{id}"', key="1")
@example(table='"a:b"."c:d"', key=':"')
def test_table_of_any_name_is_found_in_its_tags_and_changes(table: str, key: str) -> None:
    check_tag(table, {})
    check_tag(f"{table}:{{id}},{{no}}", {"id": parameter("id"), "no": parameter("no")})
    assert table in spellings(table)
    assert f"{table}:{key}" in spellings(f"{table}:{key}")
    assert [table_of(tag) for tag in (table, f"{table}:{key}", f"{table}:*", f"{table}:{{id}}")] == [table] * 4
    assert (parameters_of(table), parameters_of(f"{table}:{{id}},{{no}}")) == ([], ["id", "no"])
    assert resolve_tags([table], {}) == (table,)
    assert resolve_tags([f"{table}:{{id}}"], {"id": key}) == (*dict.fromkeys([f"{table}:{key}", f"{table}:*"]),)
    assert changed_tags([f"{table}:{key}"]) == (table, f"{table}:{key}")
    assert changed_tags([f"{table}:{key}", table]) == (table, f"{table}:*")


def test_more_than_a_thousand_changed_rows_of_a_table_are_the_whole_table() -> None:
    changes = [f"orders:{number}" for number in range(1_001)]
    assert changed_tags(changes[:1_000]) == ("orders", *sorted(changes[:1_000]))
    assert changed_tags(changes) == ("orders", "orders:*")


def test_parameters_that_differ_in_case_are_two() -> None:
    tag, both = '"Post":{authorId},{authorid}', {name: parameter(name) for name in ("authorId", "authorid")}
    check_tag(tag, both)
    assert resolve_tags([tag], {"authorId": 1, "authorid": 2}) == ('"Post":1,2', '"Post":*')
    with pytest.raises(ValueError, match="names the parameter authorID, which is not declared"):
        check_tag('"Post":{authorID}', both)


@pytest.mark.parametrize("text", ["", "Orders", '"Orders', ":1", "a.b.c", "orders:" + "x" * 513, 'a"b"'])
def test_text_that_postgresql_prints_of_no_table_is_no_change(text: str) -> None:
    assert spellings(text) == []


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("public.products:7", "products:7"),
        ('"products"', "products"),
        ("user", '"user"'),
        ('public."user":7', '"user":7'),
        ('"public".products:7', "products:7"),
        ('"XpublicX".products', '"XpublicX".products'),
        ('"sales".order:7', 'sales."order":7'),
        ('"InvoiceLine":"a"', '"InvoiceLine":"a"'),
        ('"User":', '"User":'),  # a key may be an empty text
    ],
)
def test_a_person_need_not_spell_a_table_as_postgresql_does(written: str, printed: str) -> None:
    assert printed in spellings(written)

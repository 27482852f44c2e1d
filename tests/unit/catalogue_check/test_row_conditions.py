"""Conditions of a plan: those that prove that a scan reads one row, and above all those that do not."""

from __future__ import annotations

import pytest

from cacheaside.catalogue_check.row_conditions import equalities


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("(p.id = $1001)", {("id", 1001)}),
        ("($1001 = p.id)", {("id", 1001)}),
        ("(p.id = ($1001)::bigint)", {("id", 1001)}),
        ("((p.sku)::text = $1001)", {("sku", 1001)}),
        ("((p.id = $1001) AND (p.line = $1002))", {("id", 1001), ("line", 1002)}),
        ("((p.note <> 'it''s (a) AND (b = '::text) AND (p.id = $1001))", {("id", 1001)}),
        ("(p.active AND (p.id = $1001))", {("id", 1001)}),
        ('(p."Order ID" = $1001)', {("Order ID", 1001)}),
        ('(p."a""b" = $1001)', {('a"b', 1001)}),
        ('($1001 = p."a = b")', {("a = b", 1001)}),
        ('((p."a = b" = $1001) AND ($1002 = p."c.d) AND (e"))', {("a = b", 1001), ("c.d) AND (e", 1002)}),
    ],
)
def test_equality_that_every_row_meets_is_found(condition: str, found: set[tuple[str, int]]) -> None:
    assert set(equalities([condition], "p")) == found


@pytest.mark.parametrize(
    "condition",
    [
        "((p.id = $1001) OR (p.price > '3'::numeric))",
        "(((p.id = $1001) AND (p.price > '3'::numeric)) OR p.active)",
        "(((p.a = 1) AND (p.id = $1001) AND (p.b = 2)) OR p.active)",
        "(NOT (p.id = $1001))",
        "((p.id = $1001) IS NOT TRUE)",
        "((p.id = $1001) = (p.price = $1002))",
        "(p.id <> $1001)",
        "(p.id >= $1001)",
        "(p.id = ANY (ARRAY[$1001, $1002]))",
        "(p.id = ($1001 + 1))",
        "(p.id = $1001) OR (p.price = $1002)",
        "(lower(p.sku) = $1001)",
        "(p.sku = lower($1001))",
        "(p.sku = (($1001)::character varying(3))::text)",
        "(p.sku = ($1001)::name)",
        "((p.id)::smallint = $1001)",
        '(p.sku = $1001 COLLATE "loose")',
        "(p.note = '(p.id = $1001)'::text)",
        "(p.note = ' AND (p.id = $1001) AND '::text)",
        "(other.id = $1001)",
        "(p.id = other.product_id)",
        '(p."id = $1001" = p."y = $1002")',
        "(p.id OPERATOR(shop.=) $1001)",
        "CASE WHEN p.active THEN (p.id = $1001) ELSE true END",
        "f((p.id = $1001))",
        "(p.a) OR (p.b AND (p.id = $1001) AND p.c) OR (p.d)",
        "(p.id = $1001",
        "-p.id = $1001)",
        "",
    ],
)
def test_other_condition_proves_nothing(condition: str) -> None:
    assert not set(equalities([condition], "p"))


def test_equalities_of_all_conditions_of_a_scan_are_found() -> None:
    assert set(equalities(["(p.id = $1001)", "(p.line = $1002)"], "p")) == {("id", 1001), ("line", 1002)}


@pytest.mark.parametrize(
    "condition", ["(p.size = $1001)", "(p.size = ($1001)::size)", '(p.size = ($1001)::shop."Size")']
)
def test_column_of_an_enum_may_be_compared_with_a_cast(condition: str) -> None:
    assert set(equalities([condition], "p", frozenset({"size"}))) == {("size", 1001)}


@pytest.mark.parametrize("condition", ["((p.size)::text = ($1001)::name)", "(p.sku = ($1001)::size)"])
def test_other_cast_beside_an_enum_proves_nothing(condition: str) -> None:
    assert not set(equalities([condition], "p", frozenset({"size"})))

"""The place and the fingerprint of a statement: a description of one is used for no other."""

from __future__ import annotations

from typing import Any

import pytest

from cacheaside.catalogue.columns import fingerprint, place_of
from cacheaside.catalogue.parameters import Parameter
from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Command, Query

QUERY = Query(
    name="q",
    summary="",
    sql="select %(x)s",
    returns="many",
    timeout_ms=1_000,
    parameters={"x": Parameter(name="x", type="text")},
    tags=("a",),
    policy=Policy(ttl_ms=60_000),
)
COMMAND = Command(
    name="q", summary="", sql="select %(x)s", returns="many", timeout_ms=1_000, parameters=QUERY.parameters
)


def test_query_and_command_of_one_name_have_two_places() -> None:
    assert (place_of(QUERY), place_of(COMMAND)) == ("queries/q", "commands/q")


@pytest.mark.parametrize(
    "changes",
    [
        {"sql": "select 1, %(x)s"},
        {"tags": ("b",)},
        {"parameters": {"x": Parameter(name="x", type="integer")}},
        {"parameters": {"x": Parameter(name="x", type="text", is_list=True)}},
        {"parameters": {"y": Parameter(name="y", type="text")}},
    ],
)
def test_statement_that_may_have_other_columns_or_touches_has_another_fingerprint(changes: dict[str, Any]) -> None:
    assert fingerprint(QUERY._replace(**changes)) != fingerprint(QUERY)


def test_fingerprint_is_kept_by_changes_that_no_description_depends_on_and_by_the_next_deployment() -> None:
    two = {name: Parameter(name=name, type="text") for name in ("x", "y")}
    turned = dict(reversed(two.items()))
    assert fingerprint(QUERY._replace(parameters=two)) == fingerprint(QUERY._replace(parameters=turned))
    assert fingerprint(QUERY._replace(summary="other", timeout_ms=1)) == fingerprint(QUERY)
    assert fingerprint(QUERY) == "ac27da75fb92ac6d5a123c67c2f3095c"
    assert fingerprint(COMMAND) == "3843b1d862c7947c28b1fce238cb5733"

"""The requests that show a catalogue: of a query with parameters, without an example, and of no query."""

from __future__ import annotations

from typing import Any

import pytest

from local.errors import LocalError
from local.examples import example_path, examples, requests_to_try

URL = "http://127.0.0.1:3000"


def query(name: str = "one", **parameters: Any) -> dict[str, Any]:
    return {"name": name, "parameters": parameters}


def test_required_parameters_have_their_examples() -> None:
    needed = {"required": True, "example": ["a b", True]}
    path = example_path(query(id={"required": True, "example": 7}, limit={"default": 10}, names=needed))
    assert path == "/queries/one?id=7&names=a%20b&names=true"


def test_required_parameter_without_an_example_is_an_error() -> None:
    with pytest.raises(LocalError, match="query one: give the required parameter id an example to send"):
        example_path(query(id={"required": True}))


def test_a_claim_is_not_sent_and_needs_a_token() -> None:
    mine = query(user={"required": True, "source": "claim:sub"}, limit={"required": True, "example": 7})
    assert examples(mine) == {"limit": 7}
    with pytest.raises(LocalError, match="query one: ask it with a bearer token that has the claim sub"):
        example_path(mine)


@pytest.mark.parametrize(
    ("parameter", "path"), [({"required": True, "example": 7}, "one?id=7"), ({"required": True}, "one")]
)
def test_first_query_and_the_list_of_all_can_be_tried(parameter: dict[str, Any], path: str) -> None:
    first, second = requests_to_try(URL, [query(id=parameter), query("two")]).splitlines()
    assert first == f"  curl -i '{URL}/queries/{path}'   # twice: a miss, then a hit"
    assert second.startswith(f"  curl -s '{URL}/queries' ")
    assert second.index("#") == first.index("#")


def test_empty_catalogue_is_one_line() -> None:
    assert requests_to_try(URL, []) == (
        "  The catalogue has no queries yet: put a .sql file into functions/catalogue/queries"
    )

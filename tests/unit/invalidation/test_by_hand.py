"""Invalidation by hand: what a request names, and the requests that are refused before the cache is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.parameters import Parameter
from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Query
from cacheaside.errors import BadBody, BadParameters, UnknownStatement
from cacheaside.invalidation.by_hand import invalidate
from cacheaside.reading.question import Question

QUERY = Query(
    name="product",
    summary="",
    sql="select 1",
    returns="one",
    timeout_ms=1_000,
    tags=("products:{id}",),
    parameters={"id": Parameter(name="id", type="integer", required=False, default=7)},
    policy=Policy(ttl_ms=60_000),
)
CATALOGUE = Catalogue({"product": QUERY}, {})


class Cache:
    """Keeps what is invalidated. Every tag and every entry is found."""

    def __init__(self) -> None:
        self.tags: list[str] = []
        self.keys: list[tuple[str, str]] = []

    def invalidate_tags(self, tags: Sequence[str]) -> int:
        self.tags += tags
        return len(tags)

    def invalidate_entry(self, entry: str, lease: str) -> bool:
        self.keys.append((entry, lease))
        return True


def test_tags_are_invalidated_as_changes_of_a_table_and_of_a_row() -> None:
    cache = Cache()
    assert invalidate(cache, CATALOGUE, {"tags": ["products:42", '"Order"']}) == {"tags": 6}
    spelt = ["products", "products:42", '"products"', '"products":42']  # PostgreSQL prints one of the two
    assert cache.tags == [*spelt, '"Order"', '"Order":*']


def test_one_tag_is_enough() -> None:
    cache = Cache()
    assert invalidate(cache, CATALOGUE, {"tags": ["products:42"]}) == {"tags": 4}
    assert "products:42" in cache.tags


@pytest.mark.parametrize(("params", "number"), [({"params": {"id": 42}}, 42), ({"params": {}}, 7), ({}, 7)])
def test_answer_to_one_question_is_deleted_with_its_lease(params: dict[str, object], number: int) -> None:
    cache = Cache()
    assert invalidate(cache, CATALOGUE, {"query": "product", **params}) == {"answers": 1}
    keys = Question(QUERY, {"id": number}).keys
    assert (cache.keys, cache.tags) == ([(keys.entry, keys.lease)], [])


def test_operator_names_the_claim_of_a_caller() -> None:
    query = QUERY._replace(tags=("orders",), parameters={"user": Parameter(name="user", type="text", claim="sub")})
    cache = Cache()
    request = {"query": "product", "params": {"user": "ada"}}
    assert invalidate(cache, Catalogue({"product": query}, {}), request) == {"answers": 1}
    assert cache.keys[0][0] == Question(query, {"user": "ada"}).keys.entry


def test_a_hundred_tags_are_the_most() -> None:
    cache = Cache()
    invalidate(cache, CATALOGUE, {"tags": [f"t{number}" for number in range(100)]})
    assert len(cache.tags) == 400
    with pytest.raises(BadBody, match="1 to 100 tables"):
        invalidate(cache, CATALOGUE, {"tags": [f"t{number}" for number in range(101)]})


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({}, "send {"),
        ({"tags": "products"}, "send {"),
        ({"tags": ["products"], "more": 1}, "send {"),
        ({"query": 1}, "send {"),
        ({"query": "product", "more": 1}, "send {"),
        ({"query": "product", "tags": ["products"]}, "send {"),
        ({"tags": []}, "tags must be 1 to 100"),
        ({"tags": ["products", 1]}, "tags must be 1 to 100"),
        ({"tags": ["products", "no table"]}, "tags must be 1 to 100"),
        ({"query": "product", "params": [42]}, "params must be an object"),
        ({"query": "product", "params": None}, "params must be an object"),
    ],
)
def test_request_that_names_nothing_is_refused_with_an_example(request_: dict[str, Any], says: str) -> None:
    cache = Cache()
    with pytest.raises(BadBody, match=says):
        invalidate(cache, CATALOGUE, request_)
    assert (cache.tags, cache.keys) == ([], [])


def test_query_that_is_unknown_and_parameters_that_are_wrong_are_named() -> None:
    with pytest.raises(UnknownStatement):
        invalidate(Cache(), CATALOGUE, {"query": "products"})
    with pytest.raises(BadParameters, match="id must be an integer"):
        invalidate(Cache(), CATALOGUE, {"query": "product", "params": {"id": "42"}})

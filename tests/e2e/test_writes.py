"""Tests that write. They can be repeated, and restore the data."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from tests.e2e.support.catalogue import Query, examples, target
from tests.e2e.support.client import Client, eventually
from tests.support.answer import Answer

pytestmark = pytest.mark.writes


def test_invalidated_answer_is_loaded_again(api: Client, queries: list[Query], subtests: pytest.Subtests) -> None:
    """It is no older than the invalidation. Only the local level of a process may keep it a little longer."""
    for query in queries:
        with subtests.test(query["name"]):
            path = target(query)
            api.get(path)
            began = time.monotonic()
            take = partial(api.post, "/invalidations", {"query": query["name"], "params": examples(query)})
            taken = eventually(take, lambda answer: answer.status != 503)
            assert (taken.status, taken.json["data"].keys()) == (200, {"answers"}), taken.body
            is_new = partial(loaded_since, began)
            assert is_new(eventually(partial(api.get, path), is_new))


def loaded_since(began: float, answer: Answer) -> bool:
    return int(answer.headers["age"]) <= math.ceil(time.monotonic() - began)


@dataclass
class Product:
    """A row that a query reads and a command writes, with its price before the test."""

    api: Client
    target: str
    id: int
    price: float

    def read(self) -> Answer:
        return self.api.get(self.target)

    def set_price(self, price: float) -> Answer:
        return self.api.post("/commands/set_price", {"id": self.id, "price": price})


def parameters_of_set_price(api: Client) -> set[str]:
    """Return the names of its parameters, none if there is no such command."""
    body = api.get("/openapi.json").json["components"]["schemas"].get("set_price_body")
    return set() if body is None else set(body["properties"])


@pytest.fixture
def product(api: Client, queries: list[Query]) -> Iterator[Product]:
    """Its price is restored after the test."""
    query = next((each for each in queries if each["name"] == "product"), None)
    if query is None or query["parameters"].keys() != {"id"} or parameters_of_set_price(api) != {"id", "price"}:
        pytest.skip("this catalogue has no query product(id) and command set_price(id, price)")
    read = api.get(target(query))
    if read.status == 404:
        pytest.skip("there is no such product")
    row: dict[str, Any] = read.json["data"]
    product = Product(api, target(query), row["id"], row["price"])
    yield product
    assert product.set_price(product.price).json["data"]["price"] == product.price


def test_new_price_is_read_at_once(product: Product) -> None:
    product.read()
    new = product.price + 1 if product.price < 1000 else product.price - 1
    written = product.set_price(new)
    assert (written.status, written.json["data"]["price"]) == (200, new), written.body

    def is_new(answer: Answer) -> bool:
        return bool(answer.json["data"]["price"] == new)

    # `pending`: the cache was unavailable, and the next drain of the outbox invalidates.
    pending = written.json["invalidation"] == "pending"
    assert is_new(eventually(product.read, is_new) if pending else product.read())


def test_refused_price_changes_nothing(product: Product) -> None:
    assert product.set_price(-1).status == 400
    assert product.read().json["data"]["price"] == product.price

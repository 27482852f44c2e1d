"""The requests of a soak: of every kind, chosen at random, each with the statuses that are right for it."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from uuid import uuid4

from proofs.soak.stack import PRODUCTS

__all__ = ["HOT", "Request", "a_read", "a_write"]

HOT: Final = 20
_NEW_NUMBERS_A_SECOND: Final = 10
_REPEATED: Final = 0.2
_ENCODINGS: Final[tuple[dict[str, str], ...]] = ({}, {"accept-encoding": "gzip"})
_PAGES: Final = ("/", "/health", "/queries", "/docs", "/openapi.json")
_WRONG: Final = {"/queries/row?id=x": 400, "/queries/row?id=1&id=2": 400, "/queries/none": 404, "/none": 404}
_WRONG_BODIES: Final = ("{", "[]", '{"id": "x"}')
_ORDER: Final = {"customer_id": 7, "product_ids": [1, 2], "quantities": [2, 1]}

_last_key = [str(uuid4())]


class Request(NamedTuple):
    name: str
    method: str
    path: str
    expected: tuple[int, ...]
    body: str | None
    headers: Mapping[str, str]


def a_read() -> Request:
    (chosen,) = random.choices(_READS, [weight for weight, _ in _READS])
    return chosen[1]()


def a_write() -> Request:
    (chosen,) = random.choices(_WRITES, [weight for weight, _ in _WRITES])
    return chosen[1]()


def _get(name: str, path: str, *expected: int, method: str = "GET") -> Request:
    return Request(name, method, path, expected or (200,), None, random.choice(_ENCODINGS))


def _post(name: str, path: str, body: Any, *expected: int, key: str | None = None) -> Request:
    headers = {"content-type": "application/json", **({"idempotency-key": key} if key else {})}
    text = body if isinstance(body, str) else json.dumps(body)
    return Request(name, "POST", path, expected or (200,), text, headers)


def _number() -> int:
    """Return one of some hundred numbers. Which ones moves on with time."""
    return int(time.time() * _NEW_NUMBERS_A_SECOND) + random.randint(0, 200)


def _wrong() -> Request:
    path = random.choice(list(_WRONG))
    return _get("wrong", path, _WRONG[path])


def _page() -> Request:
    return _get("page", random.choice(_PAGES), method=random.choice(("GET", "GET", "HEAD")))


def _price() -> Request:
    body = {"id": _any(PRODUCTS), "price": random.randint(1, 1000)}
    return _post("set price", "/commands/set_price", body)


def _order() -> Request:
    """Place an order under a new key, or send the last one again."""
    if random.random() > _REPEATED:
        _last_key[0] = str(uuid4())
    return _post("order", "/commands/place_order", _ORDER, key=_last_key[0])


def _refused_order() -> Request:
    body = {**_ORDER, "product_ids": [10**7, 10**7]}
    return _post("refused order", "/commands/place_order", body, 422, key=str(uuid4()))


def _any(most: int, least: int = 1) -> int:
    return random.randint(least, most)


# Each with its weight.
_READS: Final[tuple[tuple[int, Callable[[], Request]], ...]] = (
    (20, lambda: _get("hot row", f"/queries/row?id={_any(HOT)}")),
    (20, lambda: _get("any row", f"/queries/row?id={_any(PRODUCTS)}")),
    (25, lambda: _get("shifting keys", f"/queries/number?id={_number()}")),
    (10, lambda: _get("refreshed", f"/queries/refreshed?id={_any(HOT)}")),
    (5, lambda: _get("no such row", f"/queries/row?id={_any(1_000_500, 1_000_000)}", 404)),
    (4, lambda: _get("large", f"/queries/large?id={_any(HOT)}")),
    (3, lambda: _get("direct", f"/queries/row/direct?id={_any(HOT)}")),
    (3, lambda: _get("orders", f"/queries/customer_orders?customer_id={_any(HOT)}")),
    (2, lambda: _get("refused by PostgreSQL", f"/queries/refused?id={_any(50, 2)}", 422)),
    (1, lambda: _get("too slow", f"/queries/too_slow?id={_any(5)}", 504)),
    (4, _page),
    (5, _wrong),
)
_WRITES: Final[tuple[tuple[int, Callable[[], Request]], ...]] = (
    (10, _price),
    (10, _order),
    (2, _refused_order),
    (3, lambda: _post("wrong command", "/commands/set_price", random.choice(_WRONG_BODIES), 400)),
    (3, lambda: _post("invalidation", "/invalidations", {"tags": [f"products:{_any(PRODUCTS)}"]})),
)

"""Every event of events/, and requests to the catalogue of the tests, through `sam local invoke`.

Layers, handlers and environment are as Lambda has them.
"""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import psycopg2
import pytest
import redis

from local.containers.emulator import Emulator
from local.event_of_request import event_of_request
from local.stack import Stack
from local.template import read_template
from tests.support.root import ROOT

EVENTS = ROOT / "events"
TEMPLATE = read_template(ROOT / "template.yaml")
PRODUCT, ORDERS = "/queries/product?id=42", "/queries/customer_orders?customer_id=7"
QUERIES = (PRODUCT, ORDERS, "/queries/top_products", "/queries/revenue_by_month", "/queries/version")
# A write, and a query whose answer it invalidates.
WRITES = [
    ("/commands/set_price", {"id": 42, "price": 9.99}, PRODUCT),
    ("/commands/place_order", {"customer_id": 7, "product_ids": [1, 2], "quantities": [2, 1]}, ORDERS),
    ("/invalidations", {"tags": ["products"]}, "/queries/top_products"),
    ("/invalidations", {"query": "product", "params": {"id": 42}}, PRODUCT),
]
HTML, JSON, PROBLEM = "text/html; charset=utf-8", "application/json", "application/problem+json"
# Status, media type, and a part of the body.
OTHERS = {
    "query_page": (200, HTML, '<script type="module">'),
    "query_catalogue": (200, JSON, '"data"'),
    "query_head": (200, JSON, ""),
    "query_health": (200, JSON, '"ok"'),
    "query_openapi": (200, JSON, '"3.1.0"'),
    "query_docs": (200, HTML, "Reading openapi.json"),
    "query_unknown": (404, PROBLEM, '"status": 404'),
    "query_direct_unknown": (404, PROBLEM, "/docs#unknown-name"),
    "command_unknown": (404, PROBLEM, '"status": 404'),
    "invalidate_tags": (200, JSON, '"tags"'),
    "query_not_found": (404, PROBLEM, '"status": 404'),
    "query_method_not_allowed": (405, PROBLEM, '"status": 405'),
    # With CORS on, the gateway answers these itself.
    "query_preflight": (405, PROBLEM, '"status": 405'),
}
SWEEP = "invalidate_schedule"
MIGRATIONS = ("migrate_create", "migrate_update", "migrate_delete")


def answer(lambdas: Emulator, event: str) -> Any:
    return lambdas.invoke_file(EVENTS / f"{event}.json")


def ask(lambdas: Emulator, target: str) -> Any:
    return lambdas.invoke(*event_of_request(TEMPLATE, "GET", target))


def test_every_event_is_tested() -> None:
    assert {path.stem for path in EVENTS.glob("*.json")} == {*OTHERS, *MIGRATIONS, SWEEP}


@pytest.mark.parametrize("target", QUERIES)
def test_query_is_a_miss_and_then_a_hit(lambdas: Emulator, stack: Stack, target: str) -> None:
    with redis.from_url(stack.cache_url) as cache:
        cache.flushall()
    miss, hit = ask(lambdas, target), ask(lambdas, target)
    assert [miss["statusCode"], hit["statusCode"]] == [200, 200]
    assert miss["headers"]["Cache-Status"].startswith("cacheaside; fwd=miss; stored; ttl=")
    assert hit["headers"]["Cache-Status"].startswith("cacheaside; hit; ttl=")
    assert "db;dur=" in miss["headers"]["Server-Timing"]
    assert "db;dur=" not in hit["headers"]["Server-Timing"]
    assert (hit["body"], hit["headers"]["ETag"]) == (miss["body"], miss["headers"]["ETag"])
    assert json.loads(hit["body"])["data"]


@pytest.mark.parametrize(("target", "body", "query"), WRITES)
def test_write_invalidates_the_answer(lambdas: Emulator, target: str, body: Any, query: str) -> None:
    ask(lambdas, query)
    written = lambdas.invoke(*event_of_request(TEMPLATE, "POST", target, body))
    assert (written["statusCode"], written["headers"]["Content-Type"]) == (200, JSON), written
    assert ask(lambdas, query)["headers"]["Cache-Status"].startswith("cacheaside; fwd=miss; stored; ttl=")


def test_sweep_invalidates_after_a_change_in_the_database(lambdas: Emulator, stack: Stack) -> None:
    ask(lambdas, PRODUCT)
    with closing(psycopg2.connect(stack.database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("update products set price = price + 1 where id = 42")
    assert answer(lambdas, SWEEP) is None
    assert ask(lambdas, PRODUCT)["headers"]["Cache-Status"].startswith("cacheaside; fwd=miss; stored; ttl=")


@pytest.mark.parametrize("event", OTHERS)
def test_answer_that_is_not_cached(lambdas: Emulator, event: str) -> None:
    given = answer(lambdas, event)
    status, media_type, part = OTHERS[event]
    assert (given["statusCode"], given["headers"]["Content-Type"]) == (status, media_type), given
    assert part in given["body"]


@pytest.mark.parametrize("event", MIGRATIONS)
def test_cloudformation_gets_a_response(lambdas: Emulator, event: str) -> None:
    response = answer(lambdas, event)
    assert (response["Status"], response["PhysicalResourceId"]) == ("SUCCESS", "Migrations-schema"), response

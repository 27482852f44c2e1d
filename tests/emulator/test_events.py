"""Every event of events/ through `sam local invoke`: layers, handlers and environment as Lambda has them."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import psycopg2
import pytest
import redis

from local.containers.emulator import Emulator
from local.stack import Stack
from tests.support.root import ROOT

EVENTS = ROOT / "events"
QUERIES = ("version", "top_products", "revenue_by_month", "product", "customer_orders")
# A write, and a query whose answer it invalidates.
WRITES = {
    "command_set_price": "query_product",
    "command_place_order": "query_customer_orders",
    "invalidate_tags": "query_top_products",
    "invalidate_query": "query_product",
}
HTML, JSON, PROBLEM = "text/html; charset=utf-8", "application/json", "application/problem+json"
# Status, media type, and a part of the body.
OTHERS = {
    "query_page": (200, HTML, "<script>"),
    "query_catalogue": (200, JSON, '"top_products"'),
    "query_head": (200, JSON, ""),
    "query_health": (200, JSON, '"ok"'),
    "query_openapi": (200, JSON, '"3.1.0"'),
    "query_docs": (200, HTML, "Problems"),
    "query_not_found": (404, PROBLEM, '"status": 404'),
    "query_method_not_allowed": (405, PROBLEM, '"status": 405'),
    # With CORS on, the gateway answers these itself.
    "query_preflight": (405, PROBLEM, '"status": 405'),
}
SWEEP = "invalidate_schedule"
MIGRATIONS = ("migrate_create", "migrate_update", "migrate_delete")


def answer(lambdas: Emulator, event: str) -> Any:
    return lambdas.invoke(EVENTS / f"{event}.json")


def test_every_event_is_tested() -> None:
    tested = {f"query_{name}" for name in QUERIES} | {*WRITES, *OTHERS, *MIGRATIONS, SWEEP}
    assert {path.stem for path in EVENTS.glob("*.json")} == tested


@pytest.mark.parametrize("name", QUERIES)
def test_query_is_a_miss_and_then_a_hit(lambdas: Emulator, stack: Stack, name: str) -> None:
    with redis.from_url(stack.cache_url) as cache:
        cache.flushall()
    miss, hit = answer(lambdas, f"query_{name}"), answer(lambdas, f"query_{name}")
    assert [miss["statusCode"], hit["statusCode"]] == [200, 200]
    assert miss["headers"]["Cache-Status"] == "cacheaside; fwd=miss; stored"
    assert hit["headers"]["Cache-Status"].startswith("cacheaside; hit; ttl=")
    assert "db;dur=" in miss["headers"]["Server-Timing"]
    assert "db;dur=" not in hit["headers"]["Server-Timing"]
    assert (hit["body"], hit["headers"]["ETag"]) == (miss["body"], miss["headers"]["ETag"])
    assert json.loads(hit["body"])["data"]


@pytest.mark.parametrize(("write", "query"), WRITES.items())
def test_write_invalidates_the_answer(lambdas: Emulator, write: str, query: str) -> None:
    answer(lambdas, query)
    written = answer(lambdas, write)
    assert (written["statusCode"], written["headers"]["Content-Type"]) == (200, JSON), written
    assert answer(lambdas, query)["headers"]["Cache-Status"] == "cacheaside; fwd=miss; stored"


def test_sweep_invalidates_after_a_change_in_the_database(lambdas: Emulator, stack: Stack) -> None:
    answer(lambdas, "query_product")
    with closing(psycopg2.connect(stack.database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("update products set price = price + 1 where id = 42")
    assert answer(lambdas, SWEEP) is None
    assert answer(lambdas, "query_product")["headers"]["Cache-Status"] == "cacheaside; fwd=miss; stored"


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

"""Every event of events/ through `sam local invoke`: layers, handlers and environment as Lambda has them."""

from __future__ import annotations

import json
import os
from contextlib import closing
from typing import Any

import psycopg2
import pytest
import redis

from local.containers import engine
from local.containers.emulator import ROOT, Emulator
from local.stack import Stack

try:
    engine.require()
except engine.EngineMissing as missing:
    # Here and not in a fixture, so that it is one line for all. In CI the fixture fails instead.
    if not os.environ.get("CI"):
        pytest.skip(f"the emulator tests need containers: {missing}", allow_module_level=True)

EVENTS = ROOT / "events"
QUERIES = ("version", "top_products", "revenue_by_month", "product", "customer_orders")
# A write, and an answer that it makes old.
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
    # Where CORS is on, the gateway answers these itself.
    "query_preflight": (405, PROBLEM, '"status": 405'),
}
SWEEP = "invalidate_schedule"
MIGRATIONS = ("migrate_create", "migrate_update", "migrate_delete")


def answer(lambdas: Emulator, event: str) -> Any:
    return lambdas.invoke(EVENTS / f"{event}.json")


def test_no_event_is_forgotten() -> None:
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
def test_write_takes_the_answer_out(lambdas: Emulator, write: str, query: str) -> None:
    answer(lambdas, query)
    written = answer(lambdas, write)
    assert (written["statusCode"], written["headers"]["Content-Type"]) == (200, JSON), written
    assert answer(lambdas, query)["headers"]["Cache-Status"] == "cacheaside; fwd=miss; stored"


def test_sweep_takes_out_what_somebody_else_has_changed(lambdas: Emulator, stack: Stack) -> None:
    answer(lambdas, "query_product")
    with closing(psycopg2.connect(stack.database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("update products set price = price + 1 where id = 42")
    assert answer(lambdas, SWEEP) is None
    assert answer(lambdas, "query_product")["headers"]["Cache-Status"] == "cacheaside; fwd=miss; stored"


@pytest.mark.parametrize("event", OTHERS)
def test_answer_beside_the_cache(lambdas: Emulator, event: str) -> None:
    given = answer(lambdas, event)
    status, media_type, part = OTHERS[event]
    assert (given["statusCode"], given["headers"]["Content-Type"]) == (status, media_type), given
    assert part in given["body"]


@pytest.mark.parametrize("event", MIGRATIONS)
def test_cloudformation_is_answered(lambdas: Emulator, event: str) -> None:
    told = answer(lambdas, event)
    assert (told["Status"], told["PhysicalResourceId"]) == ("SUCCESS", "Migrations-schema"), told

"""The answers that callers get when a server is dead, silent or frozen, or answers nonsense."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.component.support.cache_servers import CACHE_SERVERS
from tests.component.support.closed_port import refusing_url
from tests.component.support.fake_server import fixed_reply_server
from tests.component.support.outages import frozen, killed
from tests.component.support.timeouts import production_timeouts_of
from tests.support.problem_document import check_problem

pytestmark = pytest.mark.parametrize("valkey", CACHE_SERVERS, indirect=True)

BYPASSED = "cacheaside; fwd=bypass; detail=cache-unavailable"


BROKEN_CACHES: dict[str, Callable[[], Any]] = {
    "refused": refusing_url,
    "silent": lambda: fixed_reply_server(None),
    "http": lambda: fixed_reply_server(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "wrong type": lambda: fixed_reply_server(b":42\r\n"),
    "short list": lambda: fixed_reply_server(b"*1\r\n$-1\r\n"),
    "numbers": lambda: fixed_reply_server(b"*3\r\n:1\r\n:2\r\n:3\r\n"),
    "long list": lambda: fixed_reply_server(b"*9\r\n" + b"$-1\r\n" * 9),
    "endless": lambda: fixed_reply_server(b"$9999999999\r\nx"),
    "error": lambda: fixed_reply_server(b"-LOADING Redis is loading the dataset in memory\r\n"),
    "noise": lambda: fixed_reply_server(bytes(range(256))),
}


@pytest.mark.parametrize("kind", BROKEN_CACHES)
def test_broken_cache_never_fails_a_read_or_write_that_postgresql_can_serve(start_api: Any, kind: str) -> None:
    with BROKEN_CACHES[kind]() as url, production_timeouts_of("cache"):
        api = start_api(cache_url=url)
        for _ in range(2):
            answer = api.get("/queries/product?id=42")
            assert (answer.status, answer.cache_status) == (200, BYPASSED)
        assert api.post("/commands/set_price", {"id": 42, "price": 5}).json["invalidation"] == "pending"
        refusal = api.post("/invalidations", {"tags": ["products"]})
        assert check_problem(refusal, 503)["type"] == "/docs#cache-unavailable"
        assert refusal.headers["retry-after"] == "5"


def test_health_is_degraded_without_cache_and_unavailable_without_both(start_api: Any, postgres: Any) -> None:
    with refusing_url() as cache_url, refusing_url() as dead_url:
        health = start_api(cache_url=cache_url).get("/health")
        assert (health.status, health.json["status"], health.json["cache"]["up"]) == (200, "degraded", False)
        dead = start_api(dead_url.replace("redis", "postgresql") + "/cacheaside", cache_url).get("/health")
        assert (dead.status, dead.json["status"]) == (503, "unavailable")
        assert b"127.0.0.1" not in dead.body


def test_frozen_cache_is_bypassed_and_used_again_when_it_thaws(api: Any, valkey: Any) -> None:
    api.get("/queries/product?id=42")
    with frozen(valkey), production_timeouts_of("cache"):
        assert api.get("/queries/product?id=42").cache_status == BYPASSED
    assert "; hit" in api.get("/queries/product?id=42").cache_status


def test_killed_cache_is_bypassed_and_filled_again_when_it_is_back(api: Any, valkey: Any) -> None:
    api.get("/queries/product?id=42")
    with killed(valkey):
        assert api.get("/queries/product?id=42").cache_status == BYPASSED
    assert "fwd=miss; stored" in api.get("/queries/product?id=42").cache_status
    assert "; hit" in api.get("/queries/product?id=42").cache_status


def test_connection_that_the_cache_has_closed_is_replaced_without_a_bypass(api: Any, client: Any) -> None:
    api.get("/queries/product?id=42")
    client.client_kill_filter(_type="normal", skipme=True)
    assert "; hit" in api.get("/queries/product?id=42").cache_status


def test_store_after_scripts_were_flushed_still_stores(api: Any, client: Any) -> None:
    api.get("/queries/product?id=41")
    client.script_flush()
    assert "stored" in api.get("/queries/product?id=42").cache_status


def test_while_the_database_is_killed_hits_are_served_and_misses_are_503(api: Any, postgres: Any) -> None:
    api.get("/queries/product?id=42")
    with killed(postgres):
        hit, miss = api.get("/queries/product?id=42"), api.get("/queries/product?id=41")
        health = api.get("/health")
        written = api.post("/commands/set_price", {"id": 42, "price": 5})
    assert (hit.status, "; hit" in hit.cache_status) == (200, True)
    for refusal in (miss, written):
        assert check_problem(refusal, 503)["detail"] == "the database cannot be reached"
        assert refusal.headers["retry-after"] == "5"
    assert (health.status, health.json["status"]) == (200, "degraded")
    assert api.get("/queries/product?id=41").status == 200


def test_failed_load_leaves_no_lease_behind(api: Any, postgres: Any, client: Any) -> None:
    with killed(postgres):
        api.get("/queries/product?id=42")
    assert client.keys("cacheaside:lease:*") == []


@pytest.mark.parametrize("call", ["read", "write"])
def test_connection_that_the_database_has_closed_is_opened_again(api: Any, sql: Any, call: str) -> None:
    api.get("/queries/product?id=41")
    api.post("/commands/set_price", {"id": 41, "price": 5})
    sql("select pg_terminate_backend(pid) from pg_stat_activity where usename like 'cacheaside%%'")
    if call == "read":
        assert api.get("/queries/product?id=42").status == 200
    else:
        assert api.post("/commands/set_price", {"id": 42, "price": 5}).status == 200


def with_query(api: Any, name: str, **changes: Any) -> None:
    """Add a query to the catalogue of the running function."""
    queries = api.module("QueryFunction").catalogue.queries
    queries[name] = queries["version"]._replace(name=name, **changes)


def test_statement_timeout_is_504(api: Any) -> None:
    with_query(api, "slow", sql="select pg_sleep(60)", timeout_ms=50)
    assert check_problem(api.get("/queries/slow"), 504)["type"] == "/docs#timeout"
    assert api.get("/queries/product?id=42").status == 200


def test_frozen_database_is_503_within_the_timeout_of_the_query(api: Any, postgres: Any) -> None:
    with_query(api, "quick", sql="select 1 as one", timeout_ms=50)
    api.get("/queries/product?id=42")
    with frozen(postgres), production_timeouts_of("postgres"):
        answer = api.get("/queries/quick")
    check_problem(answer, 503)
    with_query(api, "quick", sql="select 1  as one")  # another question, which does not share the failure
    assert api.get("/queries/quick").json == {"data": {"one": 1}}


def test_failing_sql_is_500_and_shows_no_internals(api: Any) -> None:
    with_query(api, "wrong", sql="select secret_column from secret_table")
    answer = api.get("/queries/wrong")
    assert check_problem(answer, 500)["type"] == "/docs#internal"
    assert not any(
        word in answer.body.lower() for word in (b"secret", b"select", b"relation", b"psycopg", b"traceback")
    )


def test_query_cannot_write(api: Any, sql: Any) -> None:
    sql("create sequence if not exists numbers")
    sql("grant usage on sequence numbers to cacheaside_query")
    with_query(api, "counter", sql="select nextval('numbers')")
    check_problem(api.get("/queries/counter"), 500)


def test_nothing_set_for_a_query_stays_on_the_connection(api: Any) -> None:
    with_query(api, "shown", sql="select current_setting('statement_timeout') as value", timeout_ms=12_345)
    assert api.get("/queries/shown").json == {"data": {"value": "12345ms"}}
    api.post("/invalidations", {"query": "shown"})
    with_query(api, "shown", sql="select current_setting('statement_timeout') as  value", timeout_ms=23_456)
    assert api.get("/queries/shown").json == {"data": {"value": "23456ms"}}
    with api.module("QueryFunction").queries._queries._kept._connection.cursor() as cursor:
        cursor.execute("show statement_timeout")
        assert cursor.fetchone() == ("0",)


def test_answer_over_the_limit_is_500_and_not_stored(api: Any, client: Any) -> None:
    with_query(api, "huge", sql="select repeat('x', 6000000) as text")
    assert check_problem(api.get("/queries/huge"), 500)["type"] == "/docs#answer-too-large"
    assert client.keys("cacheaside:entry:{huge*") == []


def test_two_rows_for_a_query_that_returns_one_is_500(api: Any) -> None:
    with_query(api, "pair", sql="select generate_series(1, 2)")
    check_problem(api.get("/queries/pair"), 500)


@pytest.mark.parametrize("garbage", [b"", b"garbage", b"ca\x01\x01" + b"\0" * 100, b"\xff" * 1000])
def test_foreign_value_under_the_key_of_an_entry_is_a_miss(api: Any, client: Any, garbage: bytes) -> None:
    api.get("/queries/product?id=42")
    [key] = client.keys("cacheaside:entry:*")
    client.set(key, garbage)
    assert api.get("/queries/product?id=42").cache_status.startswith("cacheaside; fwd=miss; stored; ttl=")


def test_key_of_another_type_does_not_fail_the_read(api: Any, client: Any) -> None:
    api.get("/queries/product?id=42")
    [key] = client.keys("cacheaside:entry:*")
    client.delete(key)
    client.lpush(key, "a list")
    assert api.get("/queries/product?id=42").status == 200

"""GET /queries/{name}/direct: the answer of PostgreSQL now. The cache is neither asked nor filled."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest

from bench.fault_proxy import Fault, fault_proxy
from tests.component.support.closed_port import refusing_url
from tests.support.problem_document import check_problem

PRODUCT = "/queries/product?id=42"
DIRECT = "/queries/product/direct?id=42"


def contents(client: Any) -> dict[bytes, bytes]:
    return {key: client.get(key) for key in client.keys("*")}


def test_direct_answer_is_that_of_the_cached_route_and_says_that_the_caller_asked_for_it(api: Any) -> None:
    cached, direct = api.get(PRODUCT), api.get(DIRECT)
    assert (direct.status, direct.body) == (200, cached.body)
    for same in ("etag", "content-type", "vary"):
        assert direct.headers[same] == cached.headers[same]
    assert (direct.cache_status, direct.headers["age"]) == ("cacheaside; fwd=request", "0")
    assert direct.headers["cache-control"] == "no-store"
    assert re.fullmatch(r"cache;dur=0.00, db;dur=[\d.]+, total;dur=[\d.]+", direct.headers["server-timing"])


def test_direct_answer_of_many_rows_is_compressed_as_the_cached_one(api: Any) -> None:
    path = "/queries/top_products{}?limit=100"
    cached, direct = (api.get(path.format(end), accept_encoding="gzip") for end in ("", "/direct"))
    assert (direct.headers["content-encoding"], direct.headers["etag"]) == ("gzip", cached.headers["etag"])
    assert direct.body == cached.body


def test_nothing_is_stored_and_nothing_in_the_cache_changes(api: Any, client: Any) -> None:
    api.get(DIRECT)
    assert contents(client) == {}
    api.get(PRODUCT)
    before = contents(client)
    assert before
    api.get(DIRECT)
    assert contents(client) == before
    assert "; hit" in api.get(PRODUCT).cache_status


def test_direct_answer_has_a_change_that_the_cache_does_not_know_yet(api: Any, sql: Any) -> None:
    before = api.get(PRODUCT).json["data"]
    sql("update products set price = price + 1 where id = 42")
    try:
        assert api.get(PRODUCT).json["data"] == before
        assert api.get(DIRECT).json["data"]["price"] == before["price"] + 1
        assert api.get(PRODUCT).json["data"] == before
    finally:
        sql("update products set price = price - 1 where id = 42")


def test_cache_that_is_down_is_not_noticed(start_api: Any) -> None:
    with refusing_url() as cache_url:
        assert start_api(cache_url=cache_url).get(DIRECT).cache_status == "cacheaside; fwd=request"


def test_conditions_and_head_work_as_for_the_cached_route(api: Any) -> None:
    etag = api.get(PRODUCT).headers["etag"]
    for method in ("GET", "HEAD"):
        unchanged = api.call(method, DIRECT, headers={"if-none-match": etag})
        assert (unchanged.status, unchanged.body, unchanged.headers["etag"]) == (304, b"", etag)
        assert unchanged.cache_status == "cacheaside; fwd=request"
        assert check_problem(api.call(method, DIRECT, headers={"if-match": '"a"'}), 412)
    head = api.call("HEAD", DIRECT)
    assert (head.status, head.headers["etag"]) == (200, etag)


def test_refusals_are_those_of_the_cached_route(api: Any) -> None:
    for path, status in [
        ("/queries/product{}?id=0&color=red", 400),
        ("/queries/product{}", 400),
        ("/queries/product{}?id=%FF", 400),
        ("/queries/nothing{}", 404),
        ("/queries/direct{}", 404),
    ]:
        cached, direct = (check_problem(api.get(path.format(end)), status) for end in ("", "/direct"))
        for same in ("type", "detail", "errors"):
            assert direct.get(same) == cached.get(same)
    assert check_problem(answer := api.call("POST", "/queries/product/direct"), 405)
    assert answer.headers["allow"] == "GET, HEAD"


def test_no_such_row_is_404_and_is_not_stored(api: Any, client: Any) -> None:
    answer = api.get("/queries/product/direct?id=999999")
    assert check_problem(answer, 404)["type"] == "/docs#no-row"
    assert answer.cache_status == "cacheaside; fwd=request"
    assert contents(client) == {}


def test_query_may_be_named_direct(api: Any) -> None:
    queries = api.module("QueryFunction").catalogue.queries
    queries["direct"] = queries["product"]._replace(name="direct")
    assert "fwd=miss" in api.get("/queries/direct?id=42").cache_status
    assert "; hit" in api.get("/queries/direct?id=42").cache_status
    assert "fwd=request" in api.get("/queries/direct/direct?id=42").cache_status


@pytest.mark.parametrize(
    "path",
    [
        *("/direct", "/queries//direct", "/queries/product/Direct", "/queries/product/direct/", "/queries/a/b/direct"),
        *("/queries/product%2Fdirect", "/queries/product%2fdirect", "/queries%2Fproduct/direct", "/queries/%2F/direct"),
        *("/queries/product/direct%0A", "/queries/product%0A/direct", "/queries/product/%64irect"),
        *("/queries/product/direct/direct", "/commands/set_price/direct", "/queries/product/directx"),
    ],
)
def test_path_that_is_nearly_the_route_has_none(api: Any, path: str) -> None:
    for method in ("GET", "HEAD"):
        assert check_problem(api.call(method, f"{path}?id=42"), 404)["type"] == "/docs#no-route"


def test_name_may_be_percent_encoded(api: Any) -> None:
    assert api.get("/queries/prod%75ct/direct?id=42").cache_status == "cacheaside; fwd=request"


def test_without_developer_mode_there_is_no_such_route(api: Any) -> None:
    function = api.module("QueryFunction")
    function.api = function.api._replace(developer_mode=False)
    for path in (DIRECT, "/queries/product/direct", "/queries/nothing/direct"):
        document = check_problem(answer := api.get(path), 404)
        assert document["type"] == "/docs#no-route"
        assert "DeveloperMode is off" in document["detail"]
        assert answer.cache_status == ""
    assert "fwd=miss" in api.get(PRODUCT).cache_status


def test_query_that_takes_too_long_is_cancelled(api: Any) -> None:
    queries = api.module("QueryFunction").catalogue.queries
    queries["slow"] = queries["version"]._replace(name="slow", sql="select pg_sleep(60)::text", timeout_ms=50)
    assert check_problem(api.get("/queries/slow/direct"), 504)["type"] == "/docs#timeout"


def test_database_that_is_down_is_told_though_the_cache_has_an_answer(start_api: Any, postgres: Any) -> None:
    with fault_proxy(postgres.url) as (proxy, url):
        api = start_api(database_url=url)
        api.get(PRODUCT)
        proxy.switch(Fault.REFUSAL)
        answer = api.get(DIRECT)
        assert check_problem(answer, 503)["type"] == "/docs#unavailable"
        assert answer.headers["retry-after"] == "5"
        assert "; hit" in api.get(PRODUCT).cache_status


def test_only_the_number_of_direct_requests_is_counted(api: Any, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    for path in (DIRECT, PRODUCT, DIRECT, PRODUCT, "/queries/product/direct?id=999999"):
        api.get(path)
    api.module("QueryFunction").metrics._metrics.write()
    counts: Counter[str] = Counter()
    for line in map(json.loads, capsys.readouterr().out.splitlines()):
        counts.update(
            {each["Name"]: len(line[each["Name"]]) for each in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
        )
    assert counts == {"Direct": 3, "CacheTime": 2, "DatabaseTime": 1, "Miss": 1}

"""The HTTP contract: every status code and header of a query, command and document, against real servers."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest

from cacheaside.http.problems import PROBLEMS
from tests.component.support.cache_servers import CACHE_SERVERS
from tests.support.problem_document import check_problem

pytestmark = pytest.mark.parametrize("valkey", CACHE_SERVERS, indirect=True)


def test_first_call_is_a_miss_and_the_second_a_hit_with_the_same_bytes(api: Any) -> None:
    miss, hit = api.get("/queries/top_products?limit=3"), api.get("/queries/top_products?limit=3")
    assert re.fullmatch(r"cacheaside; fwd=miss; stored; ttl=(60|[1-5]?\d)", miss.cache_status)
    assert re.fullmatch(r"cacheaside; hit; ttl=(60|[1-5]?\d)", hit.cache_status)
    assert miss.body == hit.body
    assert miss.headers["etag"] == hit.headers["etag"]
    assert len(hit.json["data"]) == 3


def test_every_header_of_an_answer(api: Any) -> None:
    miss, hit = api.get("/queries/top_products"), api.get("/queries/top_products")
    assert hit.headers["content-type"] == "application/json"
    assert hit.headers["age"] in map(str, range(60))
    assert hit.headers["cache-control"] == "no-cache"
    assert re.fullmatch(r'"[0-9a-f]{32}"', hit.headers["etag"])
    assert re.fullmatch(r"cache;dur=[\d.]+, db;dur=[\d.]+, total;dur=[\d.]+", miss.headers["server-timing"])
    assert re.fullmatch(r"cache;dur=[\d.]+, total;dur=[\d.]+", hit.headers["server-timing"])


def test_one_row_is_an_object_with_exact_types(api: Any, sql: Any) -> None:
    [(price,)] = sql("select price::text from products where id = 42")
    assert f'"price":{price},'.encode() in api.get("/queries/product?id=42").body
    assert api.get("/queries/product?id=42").json["data"]["id"] == 42


def test_matching_if_none_match_is_304(api: Any) -> None:
    etag = api.get("/queries/product?id=42").headers["etag"]
    for condition in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = api.get("/queries/product?id=42", if_none_match=condition)
        assert (answer.status, answer.body) == (304, b"")
        assert answer.headers["etag"] == etag
        assert "hit" in answer.cache_status
    assert api.get("/queries/product?id=42", if_none_match='"other"').status == 200


def test_no_such_row_is_404_and_cached(api: Any) -> None:
    first, second = api.get("/queries/product?id=999999"), api.get("/queries/product?id=999999")
    for answer, source in [(first, "fwd=miss; stored; ttl="), (second, "hit; ttl=")]:
        assert check_problem(answer, 404, "no-cache")["type"] == "/docs#no-row"
        assert source in answer.cache_status
        assert "etag" not in answer.headers


def test_all_bad_parameters_are_reported_at_once(api: Any) -> None:
    document = check_problem(api.get("/queries/top_products?limit=0&since=soon&color=red"), 400)
    assert [each["parameter"] for each in document["errors"]] == ["color", "since", "limit"]
    assert "limit must be at least 1, not '0'" in document["detail"]


def test_list_parameter_is_repeated(api: Any) -> None:
    answer = api.get("/queries/customer_orders?customer_id=1&status=placed&status=shipped")
    assert answer.status == 200
    assert {row["status"] for row in answer.json["data"]} <= {"placed", "shipped"}


@pytest.mark.parametrize("value", ["'; drop table products; --", "1 or 1=1", "%s", "%(id)s", "\\", "\x00"])
def test_sql_in_a_parameter_stays_a_value(api: Any, sql: Any, value: str) -> None:
    check_problem(api.get(f"/queries/product?id={quote(value)}"), 400)
    assert sql("select count(*) from products") == [(100,)]


def test_unknown_names_routes_and_methods(api: Any) -> None:
    assert check_problem(api.get("/queries/nothing"), 404)["type"] == "/docs#unknown-name"
    assert check_problem(api.post("/commands/nothing", {}), 404)["type"] == "/docs#unknown-name"
    assert check_problem(api.get("/nowhere"), 404)["type"] == "/docs#no-route"
    for method, path, allow in [
        ("POST", "/queries/product", "GET, HEAD"),
        ("DELETE", "/", "GET, HEAD"),
        ("GET", "/commands/set_price", "POST"),
        ("PUT", "/invalidations", "POST"),
    ]:
        answer = api.call(method, path)
        assert check_problem(answer, 405)["type"] == "/docs#method"
        assert answer.headers["allow"] == allow


def test_head_has_the_headers_of_get(api: Any) -> None:
    got, head = api.get("/queries/product?id=42"), api.call("HEAD", "/queries/product?id=42")
    assert head.status == 200
    assert head.headers["etag"] == got.headers["etag"]
    assert "hit" in head.cache_status


def test_command_writes_and_invalidates_its_changes(api: Any) -> None:
    before = api.get("/queries/product?id=42").json["data"]["price"]
    written = api.post("/commands/set_price", {"id": 42, "price": before + 1})
    assert written.status == 200
    assert written.json["data"]["price"] == before + 1
    assert written.json["invalidation"] == "done"
    after = api.get("/queries/product?id=42")
    assert after.json["data"]["price"] == before + 1
    assert "fwd=miss" in after.cache_status


def test_command_leaves_other_rows_in_the_cache(api: Any) -> None:
    api.get("/queries/product?id=41")
    api.post("/commands/set_price", {"id": 42, "price": 1})
    assert "; hit" in api.get("/queries/product?id=41").cache_status


def test_order_is_placed_with_all_its_items(api: Any, sql: Any) -> None:
    placed = api.post("/commands/place_order", {"customer_id": 7, "product_ids": [1, 2], "quantities": [2, 1]})
    assert placed.status == 200, placed.body
    [(total,)] = sql("select 2 * a.price + b.price from products a, products b where a.id = 1 and b.id = 2")
    assert placed.json["data"]["total"] == float(total)
    order = placed.json["data"]["id"]
    assert sql("select count(*) from order_items where order_id = %s", order) == [(2,)]


@pytest.mark.parametrize(
    ("customer", "products", "quantities", "field"),
    [
        (999_999, [1], [1], "customer_id"),
        (7, [1, 999_999], [1, 1], "product_id"),
        (7, [1, 2], [1], "quantity"),
    ],
)
def test_impossible_order_names_the_field_and_leaves_nothing(
    api: Any, sql: Any, customer: int, products: list[int], quantities: list[int], field: str
) -> None:
    before = sql("select count(*) from orders")
    body = {"customer_id": customer, "product_ids": products, "quantities": quantities}
    document = check_problem(api.post("/commands/place_order", body), 422)
    assert document["type"] == "/docs#unprocessable"
    assert [each["field"] for each in document["errors"]] == [field]
    assert sql("select count(*) from orders") == before


def test_command_about_no_row_is_404(api: Any) -> None:
    check_problem(api.post("/commands/set_price", {"id": 999_999, "price": 1}), 404)


@pytest.mark.parametrize(
    ("body", "media_type", "status", "kind"),
    [
        (b'{"id": 42, "price": 1}', "text/plain", 415, "unsupported-media"),
        (b'{"id": 42, "price": 1}', "application/x-www-form-urlencoded", 415, "unsupported-media"),
        (b'{"id": 42', "application/json", 400, "bad-body"),
        (b"", "application/json", 400, "bad-body"),
        (b"[1]", "application/json", 400, "bad-body"),
        (b'{"id": 42, "id": 43, "price": 1}', "application/json", 400, "bad-body"),
        (b'{"id": 42, "price": NaN}', "application/json", 400, "bad-body"),
        (b'{"id": ' + b"9" * 5000 + b"}", "application/json", 400, "bad-body"),
        (b"[" * 100_000, "application/json", 400, "bad-body"),
        (b"\xff\xfe", "application/json", 400, "bad-body"),
        (b'{"id": "\\ud800", "price": 1}', "application/json", 400, "bad-body"),
        (b'{"id": "42", "price": 1}', "application/json", 400, "bad-parameters"),
        (b'{"id": 42, "price": -0.01}', "application/json", 400, "bad-parameters"),
        (b'{"id": 42, "price": 1, "cost": 1}', "application/json", 400, "bad-parameters"),
        (b'{"id": "' + b"x" * 300_000 + b'"}', "application/json", 413, "body-too-large"),
    ],
)
def test_bad_body_is_refused(api: Any, body: bytes, media_type: str, status: int, kind: str) -> None:
    assert check_problem(api.post("/commands/set_price", body, media_type), status)["type"] == f"/docs#{kind}"


def test_invalidation_by_tag(api: Any) -> None:
    api.get("/queries/product?id=42")
    assert api.post("/invalidations", {"tags": ["products:42", "products:43"]}).json == {"data": {"tags": 1}}
    assert "fwd=miss" in api.get("/queries/product?id=42").cache_status


def test_invalidation_by_query_removes_one_answer(api: Any) -> None:
    for number in (41, 42):
        api.get(f"/queries/product?id={number}")
    wanted = {"query": "product", "params": {"id": 42}}
    assert api.post("/invalidations", wanted).json == {"data": {"answers": 1}}
    assert api.post("/invalidations", wanted).json == {"data": {"answers": 0}}
    assert "; hit" in api.get("/queries/product?id=41").cache_status
    assert "fwd=miss" in api.get("/queries/product?id=42").cache_status


@pytest.mark.parametrize(
    "wanted",
    [{}, {"tags": []}, {"tags": ["Products"]}, {"tags": [1]}, {"tags": ["a"], "query": "b"}, {"query": 1}],
)
def test_invalidation_with_a_bad_body_is_refused(api: Any, wanted: object) -> None:
    assert check_problem(api.post("/invalidations", wanted), 400)["type"] == "/docs#bad-body"


def test_catalogue_lists_every_query(api: Any) -> None:
    listed = {query["name"]: query for query in api.get("/queries").json["data"]}
    assert listed.keys() == {"version", "top_products", "revenue_by_month", "product", "customer_orders"}
    assert listed["product"]["parameters"]["id"] == {
        "type": "integer", "required": True, "min": 1, "example": 42, "description": "number of the product",
    }  # fmt: skip


def test_openapi_has_a_path_for_each_query_and_command(api: Any) -> None:
    document = api.get("/openapi.json").json
    assert document["openapi"] == "3.1.0"
    assert {"/queries/version", "/queries/product", "/commands/set_price", "/commands/place_order"} <= set(
        document["paths"]
    )
    parameter, *_ = document["paths"]["/queries/product"]["get"]["parameters"]
    assert parameter["schema"] == {"type": "integer", "format": "int64", "minimum": 1, "maximum": 2**63 - 1}
    command = document["paths"]["/commands/set_price"]["post"]
    assert command["parameters"] == [{"$ref": "#/components/parameters/Idempotency-Key"}]
    assert {"409", "422"} <= command["responses"].keys()


def test_documentation_explains_every_kind_of_problem(api: Any) -> None:
    page = api.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert all(f'id="{kind.slug}"'.encode() in page.body for kind in PROBLEMS)


def test_page_runs_only_its_own_script(api: Any) -> None:
    page = api.get("/")
    assert page.status == 200
    assert b"<script>" in page.body
    assert "script-src 'sha256-" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]


def test_health_names_both_servers(api: Any) -> None:
    health = api.get("/health")
    assert (health.status, health.json["status"]) == (200, "ok")
    assert (health.json["cache"]["up"], health.json["database"]["up"]) == (True, True)

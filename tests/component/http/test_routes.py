"""Requests that are nearly those of a route. None of them may run it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.component.support.api import lambda_context
from tests.support.problem_document import check_problem
from tests.support.root import ROOT

NEARLY = [
    *("/health%0A", "/health%0D", "/health%20", "/health/", "//health", "/Health", "/health%3F", "/health;a=b"),
    *("/queries%2Fproduct", "/queries%2fproduct", "/queries/", "/queries//product", "/queries/product/", "//"),
    *("/queries/product%0A", "/openapi%0Ajson", "/openapi_json", "/openapiXjson", "/docs%00", "/%0A", "/."),
]


@pytest.mark.parametrize("path", NEARLY)
def test_a_path_that_is_nearly_one_has_no_route(api: Any, path: str) -> None:
    assert check_problem(api.get(f"{path}?id=42"), 404)["type"] == "/docs#no-route"
    assert api.call("HEAD", f"{path}?id=42").status == 404


@pytest.mark.parametrize(
    "path", ["/queries/Product", "/queries/product%20", "/queries/a%2Fb", "/queries/..", "/queries/%FF"]
)
def test_a_name_that_is_nearly_one_is_unknown(api: Any, path: str) -> None:
    assert check_problem(api.get(f"{path}?id=42"), 404)["type"] in ("/docs#unknown-name", "/docs#no-route")


def test_a_name_may_be_percent_encoded(api: Any) -> None:
    assert api.get("/queries/prod%75ct?id=42").status == 200


@pytest.mark.parametrize("path", ["/health", "/queries/product", "/", "/openapi.json"])
@pytest.mark.parametrize("method", ["get", "Get", "head", "OPTIONS", "TRACE", "GETS", ""])
def test_a_method_that_is_nearly_one_is_refused(api: Any, path: str, method: str) -> None:
    assert check_problem(api.call(method, path), 405)["type"] == "/docs#method"


@pytest.mark.parametrize("path", ["/commands/set_price", "/invalidations"])
@pytest.mark.parametrize("method", ["post", "HEAD", "PUT"])
def test_a_method_that_is_nearly_post_writes_nothing(api: Any, path: str, method: str) -> None:
    answer = api.call(method, path, b'{"id": 42, "price": 1}', {"content-type": "application/json"})
    assert check_problem(answer, 405)["type"] == "/docs#method"
    assert answer.headers["allow"] == "POST"


def test_a_command_whose_slash_is_encoded_writes_nothing(api: Any) -> None:
    check_problem(api.post("/commands%2Fset_price", {"id": 42, "price": 1}), 404)
    check_problem(api.post("/commands/set_price%0A", {"id": 42, "price": 1}), 404)


def test_an_event_whose_path_is_not_that_of_its_route_key_is_refused(api: Any) -> None:
    event = json.loads((ROOT / "events" / "query_health.json").read_text())
    answer = api.module("QueryFunction").handler({**event, "rawPath": "/health\n"}, lambda_context("query"))
    assert answer["statusCode"] == 404


@pytest.mark.parametrize("path", ["/", "/queries", "/queries/product?id=42", "/health", "/openapi.json", "/docs"])
def test_head_works_where_get_does(api: Any, path: str) -> None:
    assert (api.call("HEAD", path).status, api.get(path).status) == (200, 200)

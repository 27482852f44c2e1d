"""The page, the catalogue, health, and the OpenAPI document."""

from __future__ import annotations

from functools import partial

import pytest

from tests.e2e.support.catalogue import Query
from tests.e2e.support.client import Client, eventually
from tests.support.openapi_document import check_document


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_page_runs_only_its_own_script(api: Client, path: str) -> None:
    page = api.get(path)
    assert page.status == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_catalogue_describes_each_query(queries: list[Query]) -> None:
    names = [query["name"] for query in queries]
    assert len(set(names)) == len(names)
    for query in queries:
        assert query["summary"]
        assert query["ttl"] > 0
        assert query["stale"] >= 0
        assert query["returns"] in ("one", "many")
        assert all("type" in about and "required" in about for about in query["parameters"].values())


def test_both_servers_are_up(api: Client) -> None:
    health = eventually(partial(api.get, "/health"), lambda answer: answer.status == 200)
    assert (health.status, health.json["status"]) == (200, "ok")
    assert health.json["cache"]["up"]
    assert health.json["database"]["up"]
    assert health.headers["cache-control"] == "no-store"


def test_openapi_document_is_valid(api: Client) -> None:
    answer = api.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    check_document(answer.json)


def test_openapi_document_lists_the_routes(api: Client, queries: list[Query]) -> None:
    paths = api.get("/openapi.json").json["paths"]
    fixed = {"/", "/queries", "/health", "/openapi.json", "/docs"}
    asked = fixed | {f"/queries/{query['name']}" for query in queries}
    direct = {f"/queries/{query['name']}/direct" for query in queries if api.get("/queries").json["api"]["direct"]}
    assert {path for path, item in paths.items() if "get" in item} == asked | direct
    assert "post" in paths["/invalidations"]
    assert all("post" in item for path, item in paths.items() if path.startswith("/commands/"))
    for path in fixed:
        described = paths[path]["get"]["responses"]["200"]["content"]
        answer = api.get(path)
        assert answer.status == 200
        assert answer.headers["content-type"].partition(";")[0] in described


def test_openapi_document_describes_the_parameters_of_the_catalogue(api: Client, queries: list[Query]) -> None:
    paths = api.get("/openapi.json").json["paths"]
    for query in queries:
        described = paths[f"/queries/{query['name']}"]["get"]["parameters"]
        assert {each["name"]: each["required"] for each in described if each.get("in") == "query"} == {
            name: about["required"] for name, about in query["parameters"].items()
        }


@pytest.mark.parametrize("path", ["/", "/docs", "/queries", "/health", "/openapi.json"])
def test_document_has_a_head(api: Client, path: str) -> None:
    head = api.call("HEAD", path)
    assert (head.status, head.body) == (200, b"")

"""Every query of the catalogue, called with its examples: status, headers and body."""

from __future__ import annotations

import gzip
import re
from functools import partial

import pytest

from tests.e2e.support.catalogue import Query, target
from tests.e2e.support.client import Client, eventually, same_entry
from tests.support.answer import Answer
from tests.support.problem_document import check_problem

FORWARDED = {"miss", "stale", "bypass"}
PARAMETERS = {"hit", "fwd", "ttl", "stored", "collapsed", "detail"}
CACHE_CONTROL = r"no-cache|max-age=\d+, stale-while-revalidate=\d+, stale-if-error=\d+"
TIMING = r"(?:cache|db|total);dur=\d+\.\d+"


def check(query: Query, answer: Answer) -> None:
    """Check an answer of a query: rows, or one row, or the problem that there is no such row."""
    if query["returns"] == "one" and answer.status == 404:
        assert check_problem(answer, 404, answer.headers["cache-control"])["type"] == "/docs#no-row"
        assert "etag" not in answer.headers
    else:
        assert answer.status == 200, answer.body
        assert answer.headers["content-type"] == "application/json"
        assert answer.json.keys() == {"data"}
        assert isinstance(answer.json["data"], dict if query["returns"] == "one" else list)
        assert re.fullmatch(r'"[0-9a-f]{32}"', answer.headers["etag"])
    assert answer.cache.keys() <= PARAMETERS
    assert ("hit" in answer.cache) != (answer.cache.get("fwd") in FORWARDED)
    assert int(answer.headers["age"]) >= 0
    assert "Accept-Encoding" in answer.headers["vary"]
    assert re.fullmatch(CACHE_CONTROL, answer.headers["cache-control"])
    assert re.fullmatch(f"{TIMING}(?:, {TIMING})*", answer.headers["server-timing"])
    assert "total" in answer.headers["server-timing"]


def test_answer_has_the_headers_of_the_cache(api: Client, queries: list[Query], subtests: pytest.Subtests) -> None:
    for query in queries:
        with subtests.test(query["name"]):
            check(query, api.get(target(query)))


def test_second_call_is_a_hit(api: Client, queries: list[Query], subtests: pytest.Subtests) -> None:
    for query in queries:
        with subtests.test(query["name"]):
            ask = partial(api.get, target(query))
            first, again = ask(), eventually(ask, lambda answer: "hit" in answer.cache)
            assert "hit" in again.cache
            for answer in (first, again):
                check(query, answer)
            assert (again.body == first.body) == same_entry(again, first) or again.status == 404


def test_caller_who_has_the_answer_gets_304(api: Client, queries: list[Query], subtests: pytest.Subtests) -> None:
    for query in queries:
        with subtests.test(query["name"]):
            answer, again = api.pair(
                target(query), lambda path, got: api.get(path, if_none_match=got.headers.get("etag", '"none"'))
            )
            if answer.status == 404:
                pytest.skip("there is no such row")
            assert (again.status, again.body) == (304, b"")
            assert again.headers["etag"] == answer.headers["etag"]
            assert again.cache
            assert api.get(target(query), if_none_match='"of something else"').status == 200


def test_head_has_the_headers_of_get(api: Client, queries: list[Query], subtests: pytest.Subtests) -> None:
    for query in queries:
        with subtests.test(query["name"]):
            got, head = api.pair(target(query), lambda path, _: api.call("HEAD", path))
            assert (head.status, head.body) == (got.status, b"")
            assert same_entry(head, got)
            assert head.cache


def test_query_is_asked_without_the_cache_where_developer_mode_is_on(
    api: Client, queries: list[Query], subtests: pytest.Subtests
) -> None:
    is_on = api.get("/queries").json["api"]["direct"]
    for query in queries:
        with subtests.test(query["name"]):
            path, question_mark, values = target(query).partition("?")
            answer = api.get(f"{path}/direct{question_mark}{values}")
            if not is_on:
                assert check_problem(answer, 404)["type"] == "/docs#no-route"
                assert "DeveloperMode" in answer.json["detail"]
                continue
            assert answer.status == 200 or (query["returns"] == "one" and answer.status == 404)
            assert ("data" in answer.json, "etag" in answer.headers) == (answer.status == 200,) * 2
            assert answer.cache == {"fwd": "request"}
            assert (answer.headers["age"], answer.headers["cache-control"]) == ("0", "no-store")
            assert "db;dur=" in answer.headers["server-timing"]


def test_compressed_answer_is_the_same_answer(api: Client, queries: list[Query], subtests: pytest.Subtests) -> None:
    """A gateway that does not decode the function's base64 would send base64."""
    for query in queries:
        with subtests.test(query["name"]):
            plain, sent = api.pair(target(query), lambda path, _: api.get(path, accept_encoding="gzip"))
            assert "content-encoding" not in plain.headers
            compressed = sent.headers.get("content-encoding") == "gzip"
            assert (gzip.decompress(sent.body) if compressed else sent.body) == plain.body or plain.status == 404
            assert compressed == (sent.headers.get("etag") != plain.headers.get("etag"))

"""If-Match and If-None-Match as RFC 9110 section 13 evaluates them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.problem_document import check_problem

PRODUCT = "/queries/product?id=42"


@pytest.fixture
def etag(api: Any) -> str:
    return str(api.get(PRODUCT).headers["etag"])


@pytest.mark.parametrize(
    "field", ["{}", "W/{}", "*", " * ", '"other", {}', '"a,b" ,W/{}', ',, "*",{} ,', '"",{}', '"é"\t,\t{}']
)
def test_if_none_match_that_names_the_answer_is_304(api: Any, etag: str, field: str) -> None:
    for method in ("GET", "HEAD"):
        answer = api.call(method, PRODUCT, headers={"if-none-match": field.format(etag)})
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", etag)
        assert "content-type" not in answer.headers
        assert "hit" in answer.cache_status


@pytest.mark.parametrize(
    "field",
    [
        *(
            '"a,*,b"',
            '"*"',
            '"a", *',
            "*, {}",
            "*,*",
            "**",
            "w/{}",
            "W /{}",
            "{0} {0}",
            '{}, "a',
            "a, {}",
            "",
            ",",
            "W/",
        ),
        *('"a b", {}', "{}; q=1", "{0}x", '"a,{0},b"', "," * 8000 + "x", '"a" ' * 2000),
    ],
)
def test_if_none_match_that_does_not_is_ignored(api: Any, etag: str, field: str) -> None:
    unquoted = etag.strip('"')
    assert api.get(PRODUCT, if_none_match=field.format(etag)).status == 200
    assert api.get(PRODUCT, if_none_match=unquoted).status == 200


def test_several_lines_of_a_condition_are_one_list(api: Any, etag: str) -> None:
    assert api.get(PRODUCT, if_none_match=f'"a",{etag}').status == 304
    assert api.get(PRODUCT, if_none_match='*,"a"').status == 200


@pytest.mark.parametrize("field", ["{}", "*", '"other", {}', ",{},"])
def test_if_match_that_names_the_answer_has_no_effect(api: Any, etag: str, field: str) -> None:
    answer = api.get(PRODUCT, if_match=field.format(etag))
    assert (answer.status, answer.headers["etag"]) == (200, etag)


@pytest.mark.parametrize("field", ['"nope"', "nope", "W/{}", '"a,*,b"', "*, {}", "", '{}, "a'])
def test_if_match_that_does_not_is_412(api: Any, etag: str, field: str) -> None:
    for method in ("GET", "HEAD"):
        answer = api.call(method, PRODUCT, headers={"if-match": field.format(etag), "if-none-match": etag})
        assert check_problem(answer, 412)["type"] == "/docs#precondition-failed"


def test_if_match_comes_before_if_none_match(api: Any, etag: str) -> None:
    assert api.get(PRODUCT, if_match=etag, if_none_match=etag).status == 304
    assert api.get(PRODUCT, if_match=etag, if_none_match='"a"').status == 200


def test_condition_of_an_error_is_ignored(api: Any) -> None:
    for path, status in [("/queries/product?id=999999", 404), ("/queries/product?id=x", 400), ("/nowhere", 404)]:
        assert api.get(path, if_match='"nope"').status == status
        assert api.get(path, if_none_match="*").status == status


def test_conditions_on_dates_and_ranges_are_ignored(api: Any, etag: str) -> None:
    past, whole = "Mon, 01 Jan 2001 00:00:00 GMT", api.get(PRODUCT).body
    for name, value in [("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT"), ("if-unmodified-since", past)]:
        assert api.call("GET", PRODUCT, headers={name: value}).status == 200
    for condition in (etag, '"nope"', past):
        answer = api.call("GET", PRODUCT, headers={"range": "bytes=0-3", "if-range": condition})
        assert (answer.status, answer.body) == (200, whole)


def test_document_without_an_entity_tag_fits_the_asterisk_only(api: Any) -> None:
    assert check_problem(api.get("/openapi.json", if_match='"nope"'), 412)
    assert api.get("/openapi.json", if_match="*").status == 200
    assert api.get("/openapi.json", if_none_match='""').status == 200


def test_command_with_if_match_writes_nothing(api: Any, etag: str) -> None:
    for condition in (etag, "*"):
        check_problem(api.post("/commands/set_price", {"id": 42, "price": 1}, if_match=condition), 412)
    assert api.get(PRODUCT).headers["etag"] == etag


def test_command_with_if_none_match_is_carried_out(api: Any) -> None:
    for condition in ("*", '"a"'):
        assert api.post("/commands/set_price", {"id": 42, "price": 1}, if_none_match=condition).status == 200

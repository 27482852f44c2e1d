"""Bodies that no client library sends. Each is refused at once, and none of them writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.problem_document import check_problem

PRICE = {"id": 42, "price": 1}
JSON = "application/json"


@pytest.fixture(autouse=True)
def same_price(sql: Any) -> Iterator[None]:
    """Fails a test that changes the price."""
    read = "select price from products where id = 42"
    before = sql(read)
    yield
    assert sql(read) == before


@pytest.mark.parametrize(
    "number",
    [
        *(
            f"{sign}1{e}{exponent}"
            for sign in ("", "-")
            for e in ("e", "E+", "e-")
            for exponent in ("999", "9" * 9, "9" * 19)
        ),
        *(
            "1e99",
            "-1e99",
            "0e9999999999999999999",
            "NaN",
            "Infinity",
            "-Infinity",
            "9" * 5000,
            "-" + "9" * 200_000,
            "0." + "9" * 200_000,
        ),
    ],
)
def test_a_number_of_any_size_is_refused_in_any_place(api: Any, number: str) -> None:
    fields = (
        '"id": 42, "price": %s',
        '"id": %s, "price": 1',
        '"id": 42, "price": 1, "x": %s',
        '"id": 42, "price": [%s]',
    )
    for body in (*(f"{{{each}}}" for each in fields), "%s", "[%s]"):
        check_problem(api.post("/commands/set_price", (body % number).encode()), 400)
    for body in ('{"query": "product", "params": {"id": %s}}', '{"tags": [%s]}', '{"tags": %s}', '{"query": %s}'):
        check_problem(api.post("/invalidations", (body % number).encode()), 400)


@pytest.mark.parametrize(
    "body",
    [
        *(b"[" * 200_000, b'{"a":' * 40_000, b'{"id": 42, "price": ' + b"[" * 500 + b"]" * 500 + b"}"),
        *(b"\xef\xbb\xbf" + json.dumps(PRICE).encode(), json.dumps(PRICE).encode("utf-16"), b'{"id": 42, "price": 1}x'),
        *(
            b'{"id": 42, "price": 1, "a": {"b": 1, "b": 2}}',
            b'{"id": 42, "price": 1, "pric\\u0065": 2}',
            b"",
            b"null",
            b"42",
        ),
        *(
            b'{"id": 42, "price": 1, "\\udc00": 2}',
            b'{"id": 42, "price": 1, "x": "\xed\xa0\x80"}',
            b'{"id": 42, "price": 01}',
        ),
    ],
)
def test_a_body_that_is_no_plain_json_object_is_refused(api: Any, body: bytes) -> None:
    for path in ("/commands/set_price", "/invalidations"):
        check_problem(api.post(path, body), 400)


def test_thousands_of_unknown_fields_are_counted(api: Any) -> None:
    fields = {f"price{number}": 1 for number in range(15_000)} | {"x" * 1000: 1, **PRICE}
    answer = api.post("/commands/set_price", fields)
    document = check_problem(answer, 400)
    assert [each["parameter"] for each in document["errors"]] == [f"price{number}" for number in range(5)]
    assert "and 14996 more" in document["detail"]
    assert len(answer.body) < 4000


def test_a_long_name_is_shortened(api: Any) -> None:
    answer = api.post("/commands/set_price", {"é" * 40_000: 1, **PRICE})
    assert [len(each["parameter"]) for each in check_problem(answer, 400)["errors"]] == [40]
    assert len(answer.body) < 1000


@pytest.mark.parametrize(
    "items", [["x"] * 33_000, [None] * 33_000, [1, None], [1] * 33_000, [[1]], [{}], ["y" * 200_000]]
)
def test_bad_items_of_a_list_are_one_problem(api: Any, items: list[object]) -> None:
    answer = api.post("/commands/place_order", {"customer_id": 7, "product_ids": items, "quantities": [1]})
    [problem] = check_problem(answer, 400)["errors"]
    assert problem["parameter"] == "product_ids"
    assert len(answer.body) < 1000


def test_bad_tags_are_one_problem(api: Any) -> None:
    for tags in (["x y"] * 33_000, [None] * 33_000, ["a"] * 33_000, ["y" * 200_000]):
        assert len(api.post("/invalidations", {"tags": tags}).body) < 1000


def test_null_of_a_required_parameter_is_refused(api: Any) -> None:
    document = check_problem(api.post("/commands/set_price", {"id": 42, "price": None}), 400)
    assert document["errors"] == [{"parameter": "price", "detail": "price is required (number)"}]
    check_problem(api.post("/invalidations", {"query": "product", "params": {"id": None}}), 400)


def test_null_of_a_parameter_with_a_default_is_the_default(api: Any) -> None:
    api.get("/queries/top_products")
    invalidated = api.post("/invalidations", {"query": "top_products", "params": {"limit": None}})
    assert invalidated.json == {"data": {"answers": 1}}


@pytest.mark.parametrize("media_type", [JSON, "application/octet-stream"])
@pytest.mark.parametrize(("length", "status"), [(256 * 1024, 400), (256 * 1024 + 1, 413)])
@pytest.mark.parametrize("letter", ["x", "€", "\xff"])
def test_the_limit_counts_the_bytes_of_the_body(
    api: Any, media_type: str, length: int, status: int, letter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = b'{"id": "'
    # API Gateway sends a body that is not UTF-8 in base64. So does it for other media types, with any content.
    filler = letter.encode("latin-1" if letter == "\xff" else "utf-8")
    body = text + filler * ((length - len(text) - 2) // len(filler))
    body += b"x" * (length - len(body) - 2) + b'"}'
    if media_type != JSON:
        monkeypatch.setattr("local.api.events.TEXT_TYPES", set())
    assert len(body) == length
    check_problem(api.post("/commands/set_price", body), status)


@pytest.mark.parametrize(
    "media_type",
    [
        *(
            "",
            "text/json",
            "application/jsonx",
            "application/json-seq",
            "application/json charset=utf-8",
            "application/*",
        ),
        *("application/json; charset=latin1", "application/json;charset=UTF-16", 'application/json; charset="utf-16"'),
        *(
            "application/json; charset = latin1",
            "application/json; charset=utf-8; charset=latin1",
            "application/json; charset=",
        ),
        *("application/json, text/plain", "application/json,application/json", "application/json; a=b, text/plain"),
    ],
)
def test_another_media_type_or_charset_is_refused(api: Any, media_type: str) -> None:
    answer = api.post("/commands/set_price", PRICE, media_type)
    assert check_problem(answer, 415)["type"] == "/docs#unsupported-media"


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "identity, gzip", "gzip,identity", "x"])
def test_an_encoded_body_is_refused(api: Any, coding: str) -> None:
    answer = api.post("/commands/set_price", PRICE, content_encoding=coding)
    assert check_problem(answer, 415)["type"] == "/docs#unsupported-media"


@pytest.mark.parametrize("query_string", ["id=41", "x", "=", "&", "%FF", "id=42&price=1", "a" * 5000])
def test_a_query_string_of_a_post_is_refused(api: Any, query_string: str) -> None:
    for path, body in [("/commands/set_price", PRICE), ("/invalidations", {"tags": ["products"]})]:
        answer = api.post(f"{path}?{query_string}", body)
        assert "in the body" in check_problem(answer, 400)["detail"]
        assert len(answer.body) < 1000


@pytest.mark.parametrize("keys", ["a,b", "a, b", "a,a", '"a","b"', '"a,b"', "a,", ",a", ","])
def test_two_idempotency_keys_are_refused(api: Any, keys: str) -> None:
    answer = api.post("/commands/set_price", PRICE, idempotency_key=keys)
    assert check_problem(answer, 400)["type"] == "/docs#bad-idempotency-key"


@pytest.mark.parametrize(
    "headers",
    [
        *({"content_type": "Application/JSON"}, {"content_type": "application/json;charset=UTF-8"}),
        *({"content_type": 'application/json; charset="utf-8"'}, {"content_type": "application/json; v=1;"}),
        *({"content_encoding": "identity"}, {"content_encoding": "Identity"}, {"content_encoding": ""}),
    ],
)
def test_every_plain_body_in_utf8_is_taken(api: Any, sql: Any, headers: dict[str, str]) -> None:
    [(price,)] = sql("select price from products where id = 42")
    media_type = headers.pop("content_type", JSON)
    assert api.post("/commands/set_price?", {"id": 42, "price": float(price)}, media_type, **headers).status == 200

"""One caller may send anything: the next one gets the same answer as before, from the same entry."""

from __future__ import annotations

from typing import Any, Final

from tests.support.tokens import bearer

PATH: Final = "/queries/product?id=42"
# Headers by which a cache, a proxy or a framework may let a caller choose something.
HEADERS: Final = {
    "accept": "text/html",
    "accept-encoding": "gzip, br;q=0, *;q=0.1",
    "accept-language": "de",
    "authorization": bearer(sub="mallet", user="42"),
    "cache-control": "no-cache, no-store, max-age=0",
    "cookie": "id=43; session=mallet",
    "forwarded": "for=10.0.0.1;host=evil.example;proto=http",
    "host": "evil.example",
    "idempotency-key": "mallet",
    "if-match": '"0"',
    "if-modified-since": "Sat, 29 Oct 1994 19:43:31 GMT",
    "if-none-match": "*",
    "origin": "https://evil.example",
    "pragma": "no-cache",
    "range": "bytes=0-1",
    "x-forwarded-for": "10.0.0.1",
    "x-forwarded-host": "evil.example",
    "x-forwarded-proto": "http",
    "x-http-method-override": "DELETE",
    "x-original-url": "/queries/product?id=43",
    "x-rewrite-url": "/queries/product?id=43",
}
TARGETS: Final = (
    *("/queries/product?id=43", "/queries/product?id=42&id=43", "/queries/product?ID=43", "/queries/product?id=42&x=1"),
    *("/queries/Product?id=42", "/queries/product/?id=42", "/queries/product?id=%34%32", "/queries/product?id=+42"),
    *(
        "/queries/product?id=042",
        "/queries/product?id=42&",
        "/queries/product?id=42.0",
        "/queries/product/direct?id=42",
    ),
    *("/queries/product/direct?id=43", "/queries/product?id=42%00", "/queries/product?id=42#id=43", "/queries/product"),
)


def answer(api: Any, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """Return what a caller gets who sends nothing special, without what differs between two hits."""
    got = api.get(PATH, **headers)
    varying = ("age", "cache-status", "server-timing")
    return got.status, got.body, {name: value for name, value in got.headers.items() if name not in varying}


def test_an_entry_that_another_caller_had_stored_is_the_same(api: Any) -> None:
    before = answer(api)
    for name, value in HEADERS.items():
        api.post("/invalidations", {"tags": ["products:42"]})
        api.call("GET", PATH, headers={name: value})
        assert answer(api) == before, name


def test_nothing_that_a_caller_sends_changes_the_answer_of_the_next(api: Any) -> None:
    before = answer(api)
    for method in ("GET", "HEAD", "POST"):
        for name, value in HEADERS.items():
            api.call(method, PATH, headers={name: value})
            assert answer(api) == before, (method, name)
        for target in TARGETS:
            api.call(method, target)
            assert answer(api) == before, (method, target)
    assert "hit" in api.get(PATH).headers["cache-status"]

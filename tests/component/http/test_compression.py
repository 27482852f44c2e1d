"""Compressed answers through the real functions and servers: the stored bytes are sent, and any client reads them."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from cacheaside.reading.entry import Encoding, Entry, decode
from tests.component.support.cache_servers import CACHE_SERVERS

pytestmark = pytest.mark.parametrize("valkey", CACHE_SERVERS, indirect=True)

LARGE = "/queries/top_products?limit=50"
SMALL = "/queries/product?id=42"


def stored(client: Any) -> tuple[bytes, Entry]:
    """Return the key and the content of the only entry in the cache."""
    [key] = client.keys("cacheaside:entry:*")
    entry = decode(client.get(key))
    assert entry is not None
    return key, entry


def test_stored_bytes_are_the_bytes_sent(api: Any, client: Any) -> None:
    miss, hit = api.get(LARGE, accept_encoding="gzip"), api.get(LARGE, accept_encoding="gzip")
    _, entry = stored(client)
    assert "fwd=miss; stored" in miss.cache_status
    assert "; hit" in hit.cache_status
    assert entry.encoding is Encoding.GZIP
    assert entry.body == hit.body == miss.body
    assert hit.headers["content-encoding"] == "gzip"
    assert hit.headers["content-type"] == "application/json"


@pytest.mark.parametrize("first", ["gzip", "identity"])
def test_answer_is_the_same_in_both_encodings_after_either_filled_the_cache(api: Any, first: str) -> None:
    api.get(LARGE, accept_encoding=first)
    packed, plain = api.get(LARGE, accept_encoding="br, gzip"), api.get(LARGE)
    assert "; hit" in packed.cache_status
    assert "; hit" in plain.cache_status
    assert gzip.decompress(packed.body) == plain.body
    assert len(plain.json["data"]) == 50
    assert "content-encoding" not in plain.headers
    assert packed.headers["etag"] == f'{plain.headers["etag"][:-1]}-gzip"'
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(("accepted", "other"), [("gzip", "identity"), ("identity", "gzip")])
def test_304_needs_the_etag_of_the_same_encoding(api: Any, accepted: str, other: str) -> None:
    whole = api.get(LARGE, accept_encoding=accepted)
    unchanged = api.get(LARGE, accept_encoding=accepted, if_none_match=whole.headers["etag"])
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert [unchanged.headers[name] for name in ("etag", "vary")] == [whole.headers[name] for name in ("etag", "vary")]
    assert api.get(LARGE, accept_encoding=other, if_none_match=whole.headers["etag"]).status == 200


def test_head_has_the_headers_of_get(api: Any) -> None:
    api.get(LARGE)
    for accepted in ("gzip", "identity"):
        got = api.get(LARGE, accept_encoding=accepted)
        head = api.call("HEAD", LARGE, headers={"accept-encoding": accepted})
        same = ("etag", "vary", "content-encoding", "content-type", "cache-control")
        assert [head.headers.get(name) for name in same] == [got.headers.get(name) for name in same]


def test_small_answer_and_no_row_are_not_compressed_but_vary(api: Any) -> None:
    for path in (SMALL, "/queries/product?id=999999"):
        answer = api.get(path, accept_encoding="gzip")
        assert "content-encoding" not in answer.headers
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.json

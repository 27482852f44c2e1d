"""Any value under any key, through the real functions: the right answer at once, and after that a hit again."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from cacheaside.reading.entry import Entry, decode, encode, entity_tag
from tests.component.support.cache_servers import CACHE_SERVERS

pytestmark = pytest.mark.parametrize("valkey", CACHE_SERVERS, indirect=True)

SMALL, OTHER, LARGE = "/queries/product?id=42", "/queries/product?id=41", "/queries/top_products?limit=50"
Put = Callable[[Any, bytes], object]

VALUES: dict[str, Put] = {
    "list": lambda client, key: client.rpush(key, "a"),
    "hash": lambda client, key: client.hset(key, "a", "b"),
    "set": lambda client, key: client.sadd(key, "a"),
    "stream": lambda client, key: client.xadd(key, {"a": "b"}),
    "empty": lambda client, key: client.set(key, b""),
    "short": lambda client, key: client.set(key, b"short"),
    "long": lambda client, key: client.set(key, b"x" * 1_000),
    "16 bytes without expiry": lambda client, key: client.set(key, b"x" * 16),
}
EACH_VALUE = pytest.mark.parametrize("put", VALUES.values(), ids=VALUES)


def right_answer(api: Any, client: Any, target: str) -> Any:
    """Return what the database says."""
    client.flushall()
    answer = api.get(target)
    assert answer.cache_status.startswith("cacheaside; fwd=miss; stored; ttl=")
    return answer.json


def keys_of(client: Any, kind: str) -> list[bytes]:
    return sorted(client.keys(f"cacheaside:{kind}:*"))


def assert_heals(api: Any, target: str, right: Any) -> None:
    """The next read loads, without a wait for anybody, and the one after it is a hit."""
    first, second = api.get(target), api.get(target)
    assert (first.status, first.json) == (200, right)
    assert first.cache_status.startswith("cacheaside; fwd=miss; stored; ttl=")
    assert (second.json, "; hit" in second.cache_status) == (right, True)


@EACH_VALUE
def test_lease_that_is_none_makes_nobody_wait(api: Any, client: Any, put: Put) -> None:
    right = right_answer(api, client, SMALL)
    [entry] = keys_of(client, "entry")
    client.delete(entry)
    put(client, entry.replace(b":entry:", b":lease:"))
    assert_heals(api, SMALL, right)
    assert keys_of(client, "lease") == []


@EACH_VALUE
def test_tag_that_is_no_version_gets_one(api: Any, client: Any, put: Put) -> None:
    right = right_answer(api, client, SMALL)
    for tag in keys_of(client, "tag"):
        client.delete(tag)
        put(client, tag)
    assert_heals(api, SMALL, right)


@EACH_VALUE
def test_command_is_done_although_a_tag_is_no_version(api: Any, client: Any, put: Put) -> None:
    api.get(SMALL)
    for tag in keys_of(client, "tag"):
        client.delete(tag)
        put(client, tag)
    assert api.post("/commands/set_price", {"id": 42, "price": 7}).json["invalidation"] == "done"
    assert api.get(SMALL).json["data"]["price"] == 7


@EACH_VALUE
def test_entry_of_any_value_is_a_miss(api: Any, client: Any, put: Put) -> None:
    right = right_answer(api, client, SMALL)
    [entry] = keys_of(client, "entry")
    client.delete(entry)
    put(client, entry)
    assert_heals(api, SMALL, right)


@pytest.mark.parametrize("target", [SMALL, LARGE])
def test_entry_of_another_question_is_a_miss(api: Any, client: Any, target: str) -> None:
    """Both depend on the same tables, so the versions of the tags alone need not tell them apart."""
    api.get(OTHER if target == SMALL else "/queries/top_products?limit=49")
    [other] = keys_of(client, "entry")
    data = client.get(other)
    right = right_answer(api, client, target)
    [entry] = keys_of(client, "entry")
    mine = decode(client.get(entry))
    theirs = decode(data)
    assert mine is not None
    assert theirs is not None
    client.set(entry, encode(theirs._replace(tag_versions=mine.tag_versions)), px=60_000)
    assert_heals(api, target, right)


BOMB = zlib.compress(bytes(8_000_000), 9, 31)  # larger than any answer

FORGERIES: dict[str, Callable[[Entry], Entry]] = {
    "not gzip": lambda entry: entry._replace(body=b"not gzip"),
    "cut off": lambda entry: entry._replace(body=entry.body and entry.body[:-20]),
    "bomb": lambda entry: entry._replace(body=BOMB),
    "another body": lambda entry: entry._replace(body=gzip.compress(b'{"data":[]}')),
    "not UTF-8": lambda entry: entry._replace(body=gzip.compress(b"\xff"), etag=entity_tag(b"\xff")),
    "from tomorrow": lambda entry: entry._replace(
        created_ms=entry.created_ms + 86_400_000, fresh_until_ms=entry.fresh_until_ms + 86_400_000
    ),
    "of no row": lambda entry: entry._replace(body=None),
}


@pytest.mark.parametrize("accepted", ["gzip", "identity"])
@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_forged_entry_with_the_right_checksum_is_a_miss(
    api: Any, client: Any, forge: Callable[[Entry], Entry], accepted: str
) -> None:
    right = right_answer(api, client, LARGE)
    [key] = keys_of(client, "entry")
    entry = decode(client.get(key))
    assert entry is not None
    client.set(key, encode(forge(entry)), px=60_000)
    answer = api.get(LARGE, accept_encoding=accepted)
    assert answer.status == 200
    assert answer.cache_status.startswith("cacheaside; fwd=miss; stored; ttl=")
    healed = api.get(LARGE)
    assert (healed.json, "; hit" in healed.cache_status) == (right, True)


def test_deployment_that_changes_what_a_query_returns_reads_no_answer_of_the_old_one(api: Any, client: Any) -> None:
    queries = api.module("QueryFunction").catalogue.queries
    queries["probe"] = queries["product"]._replace(name="probe", returns="many")
    assert isinstance(api.get("/queries/probe?id=42").json["data"], list)
    queries["probe"] = queries["product"]._replace(name="probe", returns="one")
    assert isinstance(api.get("/queries/probe?id=42").json["data"], dict)


def test_answer_of_code_with_a_longer_ttl_is_fresh_for_the_ttl_of_this_code(api: Any, client: Any) -> None:
    right = right_answer(api, client, LARGE)
    [key] = keys_of(client, "entry")
    entry = decode(client.get(key))
    assert entry is not None
    client.set(key, encode(entry._replace(fresh_until_ms=2**63)), px=60_000)
    hit = api.get(LARGE)
    assert hit.json == right
    assert 0 < int(hit.cache_status.removeprefix("cacheaside; hit; ttl=")) <= 60
    too_old = entry._replace(created_ms=entry.created_ms - 86_400_000, fresh_until_ms=2**63)
    client.set(key, encode(too_old), px=60_000)
    assert api.get(LARGE).cache_status.startswith("cacheaside; fwd=")

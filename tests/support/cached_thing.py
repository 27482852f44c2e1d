"""An answer in the cache, as `ls` and `inspect` find it: a minute fresh, then stale, then for errors."""

from __future__ import annotations

from typing import Final

from cacheaside.catalogue.parameters import Parameter
from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Query
from cacheaside.reading.entry import Entry, encode, entity_tag
from cacheaside.reading.question import Question
from local.live.cache import Found

__all__ = ["CREATED_MS", "VERSION", "found", "question"]

_POLICY: Final = Policy(ttl_ms=60_000, stale_ms=10_000, stale_if_error_ms=30_000, negative_ttl_ms=60_000)
CREATED_MS: Final = 1_700_000_000_000
VERSION: Final = b"v" * 16
_BODY: Final = b'{"data":{"price":19.90,"name":"a\\u001b[31m"}}'


def question(text: str = "x") -> Question:
    parameters = {"name": Parameter(name="name", type="text")}
    query = Query("thing", "", "select %(name)s", "one", 1_000, parameters, ("things",), _POLICY)
    return Question(query, {"name": text})


def found(asked: Question, body: bytes | None = _BODY) -> Found:
    entry = Entry(
        body=body,
        created_ms=CREATED_MS,
        fresh_until_ms=CREATED_MS + 60_000,
        load_ms=5,
        token=b"t" * 16,
        tag_versions=(VERSION,),
        etag=entity_tag(body),
        question=asked.digest,
        query_string=asked.query_string,
    )
    value = encode(entry)
    return Found(asked.keys.entry, value, len(value), 1_000, 3)

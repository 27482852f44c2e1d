"""The keys of the cache.

    cacheaside:entry:{top_products:9f8e…}    the answer
    cacheaside:lease:{top_products:9f8e…}    the token of the request that loads it
    cacheaside:tag:products:42               the version of one source of the answer

The braces are a Redis Cluster hash tag: entry and lease share a slot, so that one script may touch both. The digest
covers the SQL text and the entry format, so a deployment that changes either never reads an answer of the old one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from cacheaside.catalogue.parameters import Value, canonical
from cacheaside.reading.entry import FORMAT_VERSION

__all__ = ["ENTRY", "PREFIX", "Keys", "query_name", "question_keys", "tag_key"]

PREFIX: Final = "cacheaside:"
ENTRY: Final = f"{PREFIX}entry:"


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys of one question. `tags` has the order of the catalogue."""

    entry: str
    lease: str
    tags: tuple[str, ...]


def question_keys(name: str, sql: str, values: Mapping[str, Value], tags: tuple[str, ...]) -> Keys:
    """Return the keys of the query `name` with its text and its parameter values."""
    identity = [FORMAT_VERSION, sql, {key: canonical(value) for key, value in values.items()}]
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    slot = f"{{{name}:{blake2b(text.encode(), digest_size=16).hexdigest()}}}"
    return Keys(f"{ENTRY}{slot}", f"{PREFIX}lease:{slot}", tuple(tag_key(tag) for tag in tags))


def query_name(entry: str) -> str:
    """Return the name of the query whose answer has the key `entry`."""
    return entry.removeprefix(f"{ENTRY}{{").partition(":")[0]


def tag_key(tag: str) -> str:
    """Return the key that holds the version of `tag`."""
    return f"{PREFIX}tag:{tag}"

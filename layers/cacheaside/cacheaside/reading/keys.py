"""The keys of the cache.

    cacheaside:entry:{top_products:9f8e…}    the answer
    cacheaside:lease:{top_products:9f8e…}    the token of the request that loads it
    cacheaside:tag:products:42               the version of one source of the answer
    cacheaside:new:top_products              how much room the new answers of a query have used up

The braces are a Redis Cluster hash tag: entry and lease share a slot, so that one script may touch both. The digest is
that of the question: it covers all that changes an answer (see `Question.digest`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["ENTRY", "PREFIX", "Keys", "new_key", "query_name", "question_keys", "tag_key"]

PREFIX: Final = "cacheaside:"
ENTRY: Final = f"{PREFIX}entry:"


class Keys(NamedTuple):
    """All keys of one question, which is one to `query`. `tags` has the order of the catalogue."""

    query: str
    entry: str
    lease: str
    tags: tuple[str, ...]


def question_keys(name: str, digest: bytes, tags: tuple[str, ...]) -> Keys:
    """Return the keys of the question with that digest, which is one to the query `name`."""
    slot = f"{{{name}:{digest.hex()}}}"
    return Keys(name, f"{ENTRY}{slot}", f"{PREFIX}lease:{slot}", tuple(map(tag_key, tags)))


def query_name(entry: str) -> str:
    """Return the name of the query whose answer has the key `entry`."""
    return entry.removeprefix(f"{ENTRY}{{").partition(":")[0]


def new_key(query: str) -> str:
    """Return the key under which the new answers of `query` are counted."""
    return f"{PREFIX}new:{query}"


def tag_key(tag: str) -> str:
    """Return the key that holds the version of `tag`."""
    return f"{PREFIX}tag:{tag}"

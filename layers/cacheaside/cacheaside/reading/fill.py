"""One fill of the cache, as the steps of the request that does it: acquire the lease, load, store, release.

No error leaves a lease behind, as far as the cache can be reached. After an error of the cache, the step may have been
done and only its reply lost, so the lease is released. `Reader` does that after a bug or an interrupt.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cacheaside.catalogue.policy import LEASE_MARGIN_MS
from cacheaside.errors import CacheUnavailable
from cacheaside.reading.entry import LOAD_MS_AT_MOST, TOKEN_BYTES, Entry, encode, entity_tag, pack
from cacheaside.reading.question import Question
from cacheaside.reading.steps import Acquire, Acquired, Load, Loaded, Looked, Release, Step, Store

__all__ = ["ReadContext", "acquire", "load", "release", "store"]


@dataclass(frozen=True, slots=True)
class ReadContext:
    """The clock and the random sources of one read. They are passed in, so that a test can control them."""

    now_ms: Callable[[], int]  # since the epoch
    token: Callable[[], bytes]  # 16 random bytes, never the same twice
    chance: Callable[[], float]  # in [0, 1)
    time_left_ms: Callable[[], int]  # until the runtime ends this request


def acquire(question: Question, context: ReadContext) -> Generator[Step, Any, tuple[bytes | None, Looked]]:
    """Try to acquire the lease. Returns its token, or None if another request holds it, and the values found.

    The lease outlasts the load, so a live holder does not lose it. Raises CacheUnavailable.
    """
    token = context.token()
    new_versions = tuple(context.token() for _ in question.keys.tags)
    lease_ms = _timeout_ms(question, context) + LEASE_MARGIN_MS
    try:
        acquired: Acquired = yield Acquire(question.keys, token, lease_ms, new_versions, question.query.policy.tag_ms)
    except CacheUnavailable:
        yield from release(question, token)  # perhaps only the reply was lost
        raise
    return (token if acquired.won else None), acquired.looked


def load(
    question: Question, context: ReadContext, token: bytes, captured: Looked | None
) -> Generator[Step, Any, Entry]:
    """Load, and return the entry, with the tag versions that were `captured` before. Raises DatabaseError.

    None were captured if the load is to bypass the cache.
    """
    created_ms = context.now_ms()
    loaded: Loaded = yield Load(question, _timeout_ms(question, context), bypass=captured is None)
    fresh_ms = question.query.policy.fresh_ms(found=loaded.body is not None, chance=context.chance())
    encoding, body = pack(loaded.body, compress=question.query.policy.compress)
    return Entry(
        body=body,
        encoding=encoding,
        created_ms=created_ms,
        fresh_until_ms=created_ms + fresh_ms,
        load_ms=min(max(0, context.now_ms() - created_ms), LOAD_MS_AT_MOST),  # the clock may have been set meanwhile
        token=token,
        question=question.digest,
        tag_versions=tuple(map(_embeddable, captured.tags)) if captured else (),
        etag=entity_tag(loaded.body),
        query_string=question.query_string,
    )


def store(question: Question, entry: Entry) -> Generator[Step, Any, bool]:
    """Store the entry of a fill, and return whether its lease still held. Raises CacheUnavailable."""
    lifetime_ms = question.query.policy.lifetime_ms(entry.fresh_until_ms - entry.created_ms)
    try:
        stored: bool = yield Store(question.keys, entry.token, encode(entry), lifetime_ms)
    except CacheUnavailable:
        yield from release(question, entry.token)  # perhaps nothing was stored, and so the lease is still there
        raise
    return stored


def release(question: Question, token: bytes) -> Generator[Step, Any, None]:
    """Release the lease if it is still held under `token`. Never raises CacheUnavailable."""
    with suppress(CacheUnavailable):  # then the lease expires by itself
        yield Release(question.keys, token)


def _timeout_ms(question: Question, context: ReadContext) -> int:
    """Return the query's own timeout, or less if the runtime would end this request before."""
    return max(1, min(question.query.timeout_ms, context.time_left_ms() - LEASE_MARGIN_MS))


def _embeddable(version: bytes | None) -> bytes:
    # A tag that is missing, or not one of ours, must equal nothing later. Versions are random, never zero.
    return version if version is not None and len(version) == TOKEN_BYTES else bytes(TOKEN_BYTES)

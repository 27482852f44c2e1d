"""One fill of the cache, as the steps of the request that does it: acquire the lease, load, store, release.

No error leaves a lease behind, as far as the cache can be reached. After an error of the cache, the step may have been
done and only its reply lost, so the lease is released. `Reader` does that after a bug or an interrupt.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, NamedTuple

from cacheaside.catalogue.policy import ANSWER_MARGIN_MS
from cacheaside.errors import CacheUnavailable, DatabaseError
from cacheaside.reading.entry import TOKEN_BYTES, Entry, encode, entity_tag, pack
from cacheaside.reading.failure import Failure, encode_failure, is_shared
from cacheaside.reading.question import Question
from cacheaside.reading.steps import Acquire, Acquired, Load, Loaded, Looked, Release, Renew, Step, Store

__all__ = ["ReadContext", "acquire", "load", "release", "store"]


class ReadContext(NamedTuple):
    """The clock and the random sources of one read. They are passed in, so that a test can control them."""

    now_ms: Callable[[], int]  # since the epoch
    elapsed_ms: Callable[[], int]  # by a clock that is never set
    token: Callable[[], bytes]  # 16 random bytes, never the same twice
    chance: Callable[[], float]  # in [0, 1)
    time_left_ms: Callable[[], int]  # until the runtime ends this request


def acquire(question: Question, context: ReadContext) -> Generator[Step, Any, tuple[bytes | None, Looked]]:
    """Try to acquire the lease. Returns its token, or None if another request holds it, and the values found.

    Raises CacheUnavailable.
    """
    token = context.token()
    seeds = tuple(context.token() for _ in question.keys.tags)
    try:
        acquired: Acquired = yield Acquire(question.keys, token, seeds, question.query.policy.tag_ms)
    except CacheUnavailable:
        yield from release(question, token)  # perhaps only the reply was lost
        raise
    return (token if acquired.won else None), acquired.looked


def load(
    question: Question,
    context: ReadContext,
    token: bytes,
    captured: Looked | None,
    *,
    refreshes: bool = False,
    direct: bool = False,
) -> Generator[Step, Any, Entry]:
    """Load, and return the entry, with the tag versions that were `captured` before. Raises DatabaseError.

    A failure releases the lease, and is left in its place if others share it. If the load is to bypass the cache, there
    is no lease, and nothing was captured. `direct`: the caller asked for that.
    """
    created_ms, began_ms = context.now_ms(), context.elapsed_ms()
    tag_versions = tuple(map(_embeddable, captured.tags)) if captured else ()
    renew, timeout_ms = Renew(question.keys, token) if captured else None, _timeout_ms(question, context)
    try:
        loaded: Loaded = yield Load(question, timeout_ms, bypass=captured is None, direct=direct, renew=renew)
    except DatabaseError as error:
        took_ms, hurried = context.elapsed_ms() - began_ms, timeout_ms < question.query.timeout_ms
        if captured is not None and (refreshes or is_shared(error, took_ms, hurried=hurried)):
            yield from _fail(question, context, Failure(error, token, tag_versions, question.digest))
        elif captured is not None:
            yield from release(question, token)
        raise
    fresh_ms = question.query.policy.fresh_ms(found=loaded.body is not None, chance=context.chance())
    encoding, body = pack(loaded.body, compress=question.query.policy.compress)
    return Entry(
        body=body,
        encoding=encoding,
        created_ms=created_ms,
        fresh_until_ms=created_ms + fresh_ms,
        load_ms=context.elapsed_ms() - began_ms,
        token=token,
        question=question.digest,
        tag_versions=tag_versions,
        etag=entity_tag(loaded.body),
        query_string=question.query_string,
    )


def store(question: Question, context: ReadContext, entry: Entry) -> Generator[Step, Any, bool]:
    """Store the entry of a fill, and return whether its lease still held. Raises CacheUnavailable."""
    lifetime_ms = question.query.policy.lifetime_ms(entry.fresh_until_ms - entry.created_ms)
    try:
        stored: bool = yield Store(question.keys, entry.token, encode(entry), lifetime_ms)
    except CacheUnavailable as error:  # perhaps nothing was stored, and so the lease is still there
        yield from _fail(question, context, Failure(error, entry.token, entry.tag_versions, question.digest))
        raise
    return stored


def release(question: Question, token: bytes, failure: bytes | None = None) -> Generator[Step, Any, None]:
    """Release the lease if it is still held under `token`. Never raises CacheUnavailable."""
    with suppress(CacheUnavailable):  # then the lease ends by itself
        yield Release(question.keys, token, failure)


def _fail(question: Question, context: ReadContext, failure: Failure) -> Generator[Step, Any, None]:
    """Release the lease of a fill that failed. A failure of a kind that others share is left in its place."""
    yield from release(question, failure.token, encode_failure(failure, context.now_ms()))


def _timeout_ms(question: Question, context: ReadContext) -> int:
    """Return the query's own timeout, or less if the runtime would end this request before."""
    return max(1, min(question.query.timeout_ms, context.time_left_ms() - ANSWER_MARGIN_MS))


def _embeddable(version: bytes | None) -> bytes:
    # A tag that is missing, or not one of ours, must equal nothing later. Versions are random, never zero.
    return version if version is not None and len(version) == TOKEN_BYTES else bytes(TOKEN_BYTES)

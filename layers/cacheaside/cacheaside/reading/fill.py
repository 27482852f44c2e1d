"""One fill of the cache, as the steps of the request that does it: acquire the lease, load, store, release.

No error leaves a lease behind, as far as the cache can be reached. After an error of the cache, the step may have been
done and only its reply lost, so the lease is released. `Reader` does that after a bug or an interrupt.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from enum import Enum
from typing import Any, NamedTuple

from cacheaside.catalogue.policy import ANSWER_MARGIN_MS, BRIEFLY_MS
from cacheaside.errors import CacheUnavailable, DatabaseError
from cacheaside.reading.entry import TOKEN_BYTES, Entry, decode, encode, entity_tag, pack
from cacheaside.reading.failure import Failure, encode_failure, is_shared
from cacheaside.reading.keys import new_key
from cacheaside.reading.question import Question
from cacheaside.reading.steps import Acquire, Acquired, Admission, Load, Loaded, Looked, Release, Renew, Step, Store

__all__ = ["Place", "ReadContext", "acquire", "load", "release", "store"]


class ReadContext(NamedTuple):
    """The clock and the random sources of one read. They are passed in, so that a test can control them."""

    now_ms: Callable[[], int]  # since the epoch
    elapsed_ms: Callable[[], int]  # by a clock that is never set
    token: Callable[[], bytes]  # 16 random bytes, never the same twice
    chance: Callable[[], float]  # in [0, 1)
    time_left_ms: Callable[[], int]  # until the runtime ends this request


class Place(Enum):
    """Where an answer finds room in the cache."""

    OF_AN_ENTRY = "it replaces one that was not kept briefly, current or not"
    NEW = "there was room for a new one. Its tags live for as long only once it is stored"
    NONE = "too many are new. It is kept briefly, for those who wait for it"


class Acquisition(NamedTuple):
    """`token` is None if another request holds the lease. `looked`: the values found."""

    token: bytes | None
    looked: Looked
    place: Place


def acquire(question: Question, context: ReadContext, before: Looked) -> Generator[Step, Any, Acquisition]:
    """Try to acquire the lease, and to find room if the answer is new. `before` has the values seen until now.

    Raises CacheUnavailable.
    """
    token, policy = context.token(), question.query.policy
    seeds = tuple(context.token() for _ in question.keys.tags)
    is_new = _is_new(before)
    tag_ms = policy.brief_tag_ms if is_new else policy.tag_ms
    # If a load is running, it has found room or not already.
    admission = _admission(question) if is_new and not before.is_held else None
    try:
        acquired: Acquired = yield Acquire(question.keys, token, seeds, tag_ms, admission)
    except CacheUnavailable:
        yield from release(question, token)  # perhaps only the reply was lost
        raise
    place = Place.NEW if acquired.admitted else Place.NONE
    return Acquisition(token if acquired.won else None, acquired.looked, place if is_new else Place.OF_AN_ENTRY)


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


def store(question: Question, context: ReadContext, entry: Entry, place: Place) -> Generator[Step, Any, bool]:
    """Store the entry of a fill, and return whether its lease still held. Raises CacheUnavailable."""
    policy = question.query.policy
    lifetime_ms = policy.lifetime_ms(entry.fresh_until_ms - entry.created_ms)
    tag_ms = policy.tag_ms if place is Place.NEW else 0
    if place is Place.NONE:
        entry, lifetime_ms = entry._replace(is_brief=True), min(lifetime_ms, BRIEFLY_MS)
    try:
        stored: bool = yield Store(question.keys, entry.token, encode(entry), lifetime_ms, tag_ms)
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


def _is_new(before: Looked) -> bool:
    """Return whether the cache keeps no answer. One that it keeps briefly must not make room for one that it keeps."""
    entry = decode(before.entry) if before.entry is not None else None
    return before.entry is None or (entry is not None and entry.is_brief)


def _admission(question: Question) -> Admission:
    """Return the admission of a new answer: `new_answers` at once, and again in the lifetime of an answer."""
    policy = question.query.policy
    lifetime_us = policy.lifetime_ms(policy.ttl_ms) * 1_000
    return Admission(new_key(question.query.name), max(lifetime_us // policy.new_answers, 1), lifetime_us)


def _timeout_ms(question: Question, context: ReadContext) -> int:
    """Return the query's own timeout, or less if the runtime would end this request before."""
    return max(1, min(question.query.timeout_ms, context.time_left_ms() - ANSWER_MARGIN_MS))


def _embeddable(version: bytes | None) -> bytes:
    # A tag that is missing, or not one of ours, must equal nothing later. Versions are random, never zero.
    return version if version is not None and len(version) == TOKEN_BYTES else bytes(TOKEN_BYTES)

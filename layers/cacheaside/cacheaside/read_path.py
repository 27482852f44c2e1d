"""The read path: answer from the cache, else from one load, and leave its answer for others.

It does no I/O. It is a generator that yields the steps it wants done (see `cacheaside.steps`) and decides from what
it is sent back, so that what is tested against a model is what runs against Valkey and PostgreSQL.

    Look ──── fresh and its tags unchanged ─────────────────────► HIT
     │
     ├─ otherwise ── Acquire ──┬─ filled meanwhile ─────────────► HIT
     │                         ├─ won ─── Load ── Store ────────► MISS | EXPIRED, stored
     │                         └─ lost ── Load ─────────────────► MISS | EXPIRED, not stored
     │
     └─ CacheUnavailable, here or above ── Load ────────────────► BYPASS

Why no stale answer is ever stored: tag versions are read before the load begins, are random, and a missing one equals
nothing. An invalidation at any instant after they were read changes a tag, and the entry made from that load no longer
matches; one before it is seen by the load, which reads the primary. The lease has a token of its own for each fill, so
a holder slower than its lease stores nothing (Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013, §3.2.1).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any

from cacheaside.catalogue import BoundQuery
from cacheaside.entry import TOKEN_BYTES, Entry, decode, encode, entity_tag
from cacheaside.errors import CacheUnavailable, DatabaseError
from cacheaside.outcome import Outcome, Source
from cacheaside.steps import Acquire, Acquired, Load, Loaded, Look, Looked, Release, Step, Store

__all__ = ["Clock", "RandomBytes", "read"]

Clock = Callable[[], int]
"""Milliseconds since the epoch."""

RandomBytes = Callable[[int], bytes]
"""That many bytes that nobody can guess or repeat."""

Steps = Generator[Step, Any, Outcome]


def read(bound: BoundQuery, now_ms: Clock, random: RandomBytes) -> Steps:
    """Answer `bound`. Returns the outcome; raises DatabaseError when nothing but a failed load could answer."""
    keys, policy = bound.keys, bound.query.policy
    token = random(TOKEN_BYTES)
    try:
        looked: Looked = yield Look(keys)
        seen = usable(looked)
        if seen is not None and seen.is_fresh(now_ms()):
            return Outcome(source=Source.HIT, entry=seen)
        new_versions = tuple(random(TOKEN_BYTES) for _ in keys.tags)
        acquired: Acquired = yield Acquire(keys, token, policy.lease_ms, new_versions, policy.tag_ms)
    except CacheUnavailable:
        return (yield from _load_past_the_cache(bound, now_ms, token))
    refilled = usable(acquired.looked)
    if refilled is not None and refilled.is_fresh(now_ms()):
        if acquired.won:
            yield from _release(bound, token)
        return Outcome(source=Source.HIT, entry=refilled)
    source = Source.MISS if seen is None else Source.EXPIRED
    if not acquired.won:
        entry = yield from _load(bound, now_ms, token)
        return Outcome(source=source, entry=entry, detail="another-request-is-loading")
    return (yield from _fill(bound, now_ms, token, acquired.looked, source))


def usable(looked: Looked) -> Entry | None:
    """Return the entry that was looked at, if it can be read and every tag still has the version it was made from."""
    entry = decode(looked.entry) if looked.entry is not None else None
    # A missing tag is None, which no stored version equals.
    return entry if entry is not None and entry.tag_versions == looked.tags else None


def _fill(bound: BoundQuery, now_ms: Clock, token: bytes, captured: Looked, source: Source) -> Steps:
    """Load as the holder of the lease, and store with the tag versions that were `captured` before the load."""
    try:
        entry = yield from _load(bound, now_ms, token, captured)
    except DatabaseError:
        yield from _release(bound, token)
        raise
    lifetime_ms = bound.query.policy.lifetime_ms(found=entry.body is not None)
    try:
        stored: bool = yield Store(bound.keys, token, encode(entry), lifetime_ms)
    except CacheUnavailable:
        return Outcome(source=source, entry=entry, detail="cache-unavailable")
    return Outcome(source=source, entry=entry, stored=stored, detail=None if stored else "lease-lost")


def _load_past_the_cache(bound: BoundQuery, now_ms: Clock, token: bytes) -> Steps:
    entry = yield from _load(bound, now_ms, token)
    return Outcome(source=Source.BYPASS, entry=entry, detail="cache-unavailable")


def _load(
    bound: BoundQuery, now_ms: Clock, token: bytes, captured: Looked | None = None
) -> Generator[Step, Any, Entry]:
    created_ms = now_ms()
    loaded: Loaded = yield Load(bound)
    return Entry(
        body=loaded.body,
        created_ms=created_ms,
        fresh_until_ms=created_ms + bound.query.policy.fresh_ms(found=loaded.body is not None),
        load_ms=now_ms() - created_ms,
        token=token,
        tag_versions=tuple(map(_embeddable, captured.tags)) if captured else (),
        etag=entity_tag(loaded.body),
    )


def _embeddable(version: bytes | None) -> bytes:
    # A tag that went missing, or that is none of ours, must equal nothing later: versions are random, never zero.
    return version if version is not None and len(version) == TOKEN_BYTES else bytes(TOKEN_BYTES)


def _release(bound: BoundQuery, token: bytes) -> Generator[Step, Any, None]:
    with suppress(CacheUnavailable):  # then the lease ends by itself
        yield Release(bound.keys, token)

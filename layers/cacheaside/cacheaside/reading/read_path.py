"""The read path: answer from the cache, else from one load shared by all who ask.

It does no I/O. It is a generator that yields the steps it wants done (see `steps`) and decides from what it is sent
back, so that what is tested against a model is what runs against Valkey and PostgreSQL.

    Look ─┬─ fresh ───────────────────────────────────────────► HIT     ┐ one elected request refreshes
          ├─ stale ───────────────────────────────────────────► STALE   ┘ after its answer was sent
          └─ neither ── Acquire ──┬─ filled meanwhile ────────► HIT
                          ▲       ├─ won ── Load ┬─ Store ────► MISS | EXPIRED
                          │       │              └─ failed ───► STALE_IF_ERROR | error
               lease gone │       └─ lost                ┌────► COLLAPSED
                          └────── Wait, Look ◄─► still ──┤
                                                         └─ out of patience ──► error | Load, unshared

    CacheUnavailable, wherever it comes up ── Load, capped ───► BYPASS

Why no stale answer is ever stored: tag versions are read before the load begins, are random, and a missing one equals
nothing. An invalidation at any instant after they were read changes a tag, and the entry made from that load no longer
matches; one before it is seen by the load, which reads the primary. The lease has a token of its own for each fill, so
a holder slower than its lease stores nothing (Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013, §3.2.1).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from cacheaside.catalogue.policy import LEASE_MARGIN_MS, Freshness, WaitedOut
from cacheaside.catalogue.statements import BoundQuery
from cacheaside.errors import CacheUnavailable, DatabaseError, WaitedTooLong
from cacheaside.reading.entry import TOKEN_BYTES, Entry, decode, encode, entity_tag, pack
from cacheaside.reading.outcome import Outcome, Refresh, Source
from cacheaside.reading.steps import Acquire, Acquired, Load, Loaded, Look, Looked, Release, Step, Store, Wait

__all__ = ["Surroundings", "read"]

Steps = Generator[Step, Any, Outcome]

# Waiters look again soon at first, then ever less often: a long load is not asked after a thousand times.
_FIRST_PAUSE_MS: Final = 10
_LONGEST_PAUSE_MS: Final = 250


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the read path needs besides the steps. Passed in, so that a test can be the clock and the dice."""

    now_ms: Callable[[], int]  # since the epoch
    token: Callable[[], bytes]  # 16 bytes that nobody can guess or repeat
    chance: Callable[[], float]  # in [0, 1)
    time_left_ms: Callable[[], int]  # until the runtime ends this request


def read(bound: BoundQuery, around: Surroundings) -> Steps:
    """Answer `bound`. Returns the outcome.

    Raises DatabaseError when nothing but a failed load could answer, WaitedTooLong when another's load took too long.
    """
    try:
        looked: Looked = yield Look(bound.keys)
    except CacheUnavailable:
        return (yield from _load_past_the_cache(bound, around, None))
    seen = _unchanged(looked)
    if seen is None:
        return (yield from _load_or_wait(bound, around, looked, None))
    policy, now_ms = bound.query.policy, around.now_ms()
    match policy.freshness(seen, now_ms):
        case Freshness.FRESH if policy.refreshes_early(seen, now_ms, around.chance):
            return Outcome(source=Source.HIT, entry=seen, refresh=(yield from _elect(bound, around, looked)))
        case Freshness.FRESH:
            return Outcome(source=Source.HIT, entry=seen)
        case Freshness.STALE:
            return Outcome(source=Source.STALE, entry=seen, refresh=(yield from _elect(bound, around, looked)))
        case Freshness.LAST_RESORT:
            return (yield from _load_or_wait(bound, around, looked, seen))
        case Freshness.GONE:
            return (yield from _load_or_wait(bound, around, looked, None))


def _elect(bound: BoundQuery, around: Surroundings, looked: Looked) -> Generator[Step, Any, Refresh | None]:
    """Return the refresh to run after the answer was sent, if nobody else is at it. Never fails: there is an answer."""
    if looked.lease is not None:
        return None
    with suppress(CacheUnavailable):
        token, acquired = yield from _acquire(bound, around)
        if acquired.won and acquired.looked.entry == looked.entry:
            return _refresh(bound, around, token, acquired.looked)
        if acquired.won:  # somebody was quicker, and is done
            yield from _release(bound, token)
    return None


def _refresh(bound: BoundQuery, around: Surroundings, token: bytes, captured: Looked) -> Refresh:
    """Fill again. If the load fails, the lease is left to its end: until then nobody tries again."""
    entry = yield from _load(bound, around, token, captured)
    lifetime_ms = bound.query.policy.lifetime_ms(entry.fresh_until_ms - entry.created_ms)
    stored: bool = yield Store(bound.keys, token, encode(entry), lifetime_ms)
    return stored


def _load_or_wait(bound: BoundQuery, around: Surroundings, looked: Looked, last_resort: Entry | None) -> Steps:
    """Load if the lease can be had, else wait for what its holder stores; if the holder is lost, take its place."""
    until_ms = around.now_ms() + min(bound.query.policy.wait_ms, around.time_left_ms() - LEASE_MARGIN_MS)
    began_before_us = _tokens(looked)
    source = Source.MISS if _unchanged(looked) is None else Source.EXPIRED
    filled_by, pause_ms = Source.HIT, _FIRST_PAUSE_MS
    try:
        while True:
            won, token = False, b""
            entry = _good_for_us(bound, around, looked, began_before_us)
            if entry is None and looked.lease is None:
                token, acquired = yield from _acquire(bound, around)
                won, looked = acquired.won, acquired.looked
                entry = _good_for_us(bound, around, looked, began_before_us)
            if entry is not None:
                if won:
                    yield from _release(bound, token)
                return Outcome(source=filled_by, entry=entry)
            if won:
                break
            left_ms = until_ms - around.now_ms()
            if left_ms <= 0:
                return (yield from _waited_out(bound, around, source, last_resort))
            yield Wait(min(left_ms, pause_ms // 2 + int(pause_ms * around.chance())))
            filled_by, pause_ms = Source.COLLAPSED, min(pause_ms * 2, _LONGEST_PAUSE_MS)
            looked = yield Look(bound.keys)
    except CacheUnavailable:
        return (yield from _load_past_the_cache(bound, around, last_resort))
    return (yield from _fill(bound, around, token, looked, source, last_resort))


def _good_for_us(bound: BoundQuery, around: Surroundings, looked: Looked, before: frozenset[bytes]) -> Entry | None:
    """Return the entry that was looked at if it is fresh and its tags are unchanged, or its fill began after we did.

    Such a fill saw everything that had been written when we came, however old its entry is by now and whatever has
    changed since. So neither constant writes nor loads longer than the ttl make anyone wait for more than two loads.
    """
    entry = decode(looked.entry) if looked.entry is not None else None
    if entry is None or entry.token not in before:
        return entry
    fresh = bound.query.policy.freshness(entry, around.now_ms()) is Freshness.FRESH
    return entry if fresh and entry.tag_versions == looked.tags else None


def _tokens(looked: Looked) -> frozenset[bytes]:
    """The fills that began before this instant. Entry and lease are read together, or one could slip in between."""
    entry = decode(looked.entry) if looked.entry is not None else None
    tokens = {looked.lease, entry.token if entry is not None else None}
    return frozenset(token for token in tokens if token is not None)


def _unchanged(looked: Looked) -> Entry | None:
    """Return the entry that was looked at, if it can be read and every tag still has the version it was made from."""
    entry = decode(looked.entry) if looked.entry is not None else None
    # A missing tag is None, which no stored version equals.
    return entry if entry is not None and entry.tag_versions == looked.tags else None


def _fill(
    bound: BoundQuery,
    around: Surroundings,
    token: bytes,
    captured: Looked,
    source: Source,
    last_resort: Entry | None,
) -> Steps:
    """Load as the holder of the lease, and store with the tag versions that were `captured` before the load."""
    try:
        entry = yield from _load(bound, around, token, captured)
    except DatabaseError:
        if last_resort is not None:
            # The lease stays until it ends, so that not every request tries the same again.
            return Outcome(source=Source.STALE_IF_ERROR, entry=last_resort, detail="stale-if-error")
        yield from _release(bound, token)
        raise
    lifetime_ms = bound.query.policy.lifetime_ms(entry.fresh_until_ms - entry.created_ms)
    try:
        stored: bool = yield Store(bound.keys, token, encode(entry), lifetime_ms)
    except CacheUnavailable:
        return Outcome(source=source, entry=entry, detail="cache-unavailable")
    return Outcome(source=source, entry=entry, stored=stored, detail=None if stored else "lease-lost")


def _waited_out(bound: BoundQuery, around: Surroundings, source: Source, last_resort: Entry | None) -> Steps:
    if bound.query.policy.waited_out is WaitedOut.LOAD:
        return (yield from _load_unshared(bound, around, source, "waited-out", last_resort))
    if last_resort is not None:
        return Outcome(source=Source.STALE_IF_ERROR, entry=last_resort, detail="waited-out")
    raise WaitedTooLong("another request is loading this answer, and takes longer than this one may wait")


def _load_past_the_cache(bound: BoundQuery, around: Surroundings, last_resort: Entry | None) -> Steps:
    return (yield from _load_unshared(bound, around, Source.BYPASS, "cache-unavailable", last_resort))


def _load_unshared(
    bound: BoundQuery, around: Surroundings, source: Source, detail: str, last_resort: Entry | None
) -> Steps:
    try:
        entry = yield from _load(bound, around, around.token(), None)
    except DatabaseError:
        if last_resort is None:
            raise
        return Outcome(source=Source.STALE_IF_ERROR, entry=last_resort, detail="stale-if-error")
    return Outcome(source=source, entry=entry, detail=detail)


def _acquire(bound: BoundQuery, around: Surroundings) -> Generator[Step, Any, tuple[bytes, Acquired]]:
    """Try to get the lease under a new token. It outlasts the load, so that no live holder loses it to the clock."""
    token = around.token()
    new_versions = tuple(around.token() for _ in bound.keys.tags)
    lease_ms = _timeout_ms(bound, around) + LEASE_MARGIN_MS
    acquired: Acquired = yield Acquire(bound.keys, token, lease_ms, new_versions, bound.query.policy.tag_ms)
    return token, acquired


def _load(
    bound: BoundQuery, around: Surroundings, token: bytes, captured: Looked | None
) -> Generator[Step, Any, Entry]:
    created_ms = around.now_ms()
    loaded: Loaded = yield Load(bound, _timeout_ms(bound, around), direct=captured is None)
    fresh_ms = bound.query.policy.fresh_ms(found=loaded.body is not None, chance=around.chance())
    encoding, body = pack(loaded.body, compress=bound.query.policy.compress)
    return Entry(
        body=body,
        encoding=encoding,
        created_ms=created_ms,
        fresh_until_ms=created_ms + fresh_ms,
        load_ms=around.now_ms() - created_ms,
        token=token,
        tag_versions=tuple(map(_embeddable, captured.tags)) if captured else (),
        etag=entity_tag(loaded.body),
        question=bound.question,
    )


def _timeout_ms(bound: BoundQuery, around: Surroundings) -> int:
    """The query's own timeout, or less if the runtime would end this request before."""
    return max(1, min(bound.query.timeout_ms, around.time_left_ms() - LEASE_MARGIN_MS))


def _embeddable(version: bytes | None) -> bytes:
    # A tag that went missing, or that is none of ours, must equal nothing later: versions are random, never zero.
    return version if version is not None and len(version) == TOKEN_BYTES else bytes(TOKEN_BYTES)


def _release(bound: BoundQuery, token: bytes) -> Generator[Step, Any, None]:
    with suppress(CacheUnavailable):  # then the lease ends by itself
        yield Release(bound.keys, token)

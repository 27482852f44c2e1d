"""The read path: an answer from the cache, or from one load that all callers share.

This module does no I/O. `read` is a generator that yields the steps it wants done (see `steps`) and decides from their
results. So the code that is proven against a model is the code that runs against Valkey and PostgreSQL.

    Look ─┬─ fresh ─────────────────────────────────────────► HIT     ┐ one elected request refreshes
          ├─ stale ─────────────────────────────────────────► STALE   ┘ after its answer was sent
          ├─ a load has just failed ────────────────────────► STALE_IF_ERROR | its error
          └─ none ── Acquire ─┬─ filled meanwhile ──────────► HIT
                        ▲     ├─ won ── Load, ─┬─ Store ────► MISS | EXPIRED
                        │     │         Renew  └─ Release ──► STALE_IF_ERROR | error, which others share
             lease gone │     └─ lost              ┌────────► COLLAPSED
                        └──── Wait, Look ◄─► held ─┼────────► STALE_IF_ERROR | the error of the holder's load
                                                   └────────► waited out: error | Load without a lease

    CacheUnavailable at any step ── Load without a lease ───► BYPASS
                                     └─ fails ── Look again ─► HIT | STALE | STALE_IF_ERROR | its error

Why no stale answer is stored: tag versions are read before the load begins. They are random, and a missing version
equals nothing. An invalidation after that moment changes a tag, so the entry made from the load does not match. An
invalidation before it is visible to the load, which reads the primary. Each fill has a lease token of its own, so a
holder that lost its lease stores nothing (Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013, §3.2.1).
A lease is short, and its holder renews it while it loads (Gray, Cheriton, "Leases", SOSP 1989). A lease that has ended
is not renewed: an entry under its token could be older than a request that saw no lease.

New answers are limited, so that a caller with many values does not push out the answers of others. One for which there
is no room is kept for two seconds. So those who wait for it share its load, and one that many ask for is loaded once in
two seconds, until it finds room.

Keys can hold any value: those of a foreign program, of a bug, of another question. A value that no fill of this
question can have made counts as a missing one. Acquire and Store replace it.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import Any, Final

from cacheaside.catalogue.policy import ANSWER_MARGIN_MS, LEASE_MS, LONGEST_LOAD_MS, Freshness, WaitedOut
from cacheaside.errors import CacheasideError, CacheUnavailable, ConstraintViolated, DatabaseError, WaitedTooLong
from cacheaside.reading.entry import Entry, decode
from cacheaside.reading.failure import Failure, decode_failure
from cacheaside.reading.fill import Place, ReadContext, acquire, load, release, store
from cacheaside.reading.outcome import NO_ROOM, Outcome, Refresh, Source
from cacheaside.reading.question import Question
from cacheaside.reading.steps import Look, Looked, Release, Step, Wait

__all__ = ["read"]

Steps = Generator[Step, Any, Outcome]

# Waiters look again soon at first, then less often, so that a long load does not cost a thousand looks.
_FIRST_PAUSE_MS: Final = 10
_LONGEST_PAUSE_MS: Final = 250

# An entry is stale for longer if nobody asked for it, if its ttl was shortened, or if its lease never ends. Then an
# attempt to acquire tells whether the lease is alive.
_REFRESHED_WITHIN_MS: Final = LONGEST_LOAD_MS + LEASE_MS


def read(question: Question, context: ReadContext) -> Steps:
    """Answer `question`. Returns the outcome.

    Raises DatabaseError if only a load could answer and it failed, WaitedTooLong if another request's load takes long.
    """
    try:
        looked: Looked = yield Look(question.keys)
    except CacheUnavailable:
        return (yield from _bypass_cache(question, context, None))
    seen = _unchanged(question, context, looked)
    if seen is None:
        return (yield from _load_or_wait(question, context, looked, None))
    policy, now_ms = question.query.policy, context.now_ms()
    match policy.freshness(seen.fresh_until_ms, now_ms):
        case Freshness.FRESH if policy.refreshes_early(seen.fresh_until_ms, seen.load_ms, now_ms, context.chance):
            refresh = yield from _elect(question, context, looked, seen)
            return Outcome(source=Source.HIT, entry=seen, refresh=refresh)
        case Freshness.FRESH:
            return Outcome(source=Source.HIT, entry=seen)
        case Freshness.STALE:
            refresh = yield from _elect(question, context, looked, seen)
            return Outcome(source=Source.STALE, entry=seen, refresh=refresh)
        case Freshness.LAST_RESORT:
            return (yield from _load_or_wait(question, context, looked, seen))
        case Freshness.GONE:
            return (yield from _load_or_wait(question, context, looked, None))


def _elect(
    question: Question, context: ReadContext, looked: Looked, seen: Entry
) -> Generator[Step, Any, Refresh | None]:
    """Return the refresh to run after the answer was sent, or None if another request does it.

    A look cannot tell whether a lease ever ends. So it is trusted only until the refresh should long have been done.
    """
    if looked.is_held and context.now_ms() < seen.fresh_until_ms + _REFRESHED_WITHIN_MS:
        return None
    if _failure(question, context, looked) is not None:
        return None
    with suppress(CacheUnavailable):
        token, captured, place = yield from acquire(question, context, looked)
        if token is not None and captured.entry == looked.entry:
            refresh = _refresh(question, context, token, captured, place)
            return Refresh(refresh, Release(question.keys, token))
        if token is not None:  # another request has refreshed the entry meanwhile
            yield from release(question, token)
    return None


def _refresh(
    question: Question, context: ReadContext, token: bytes, captured: Looked, place: Place
) -> Generator[Step, Any, bool]:
    """Load and store again. If the load fails, no request tries again for a moment."""
    entry = yield from load(question, context, token, captured, refreshes=True)
    return (yield from store(question, context, entry, place))


def _load_or_wait(question: Question, context: ReadContext, looked: Looked, last_resort: Entry | None) -> Steps:
    """Load if the lease is free, else wait for the entry of its holder. If the holder is lost, take its place.

    It waits for a lease only if an attempt to acquire has found it alive: a look cannot tell whether a lease ever ends.
    """
    until_ms = context.elapsed_ms() + min(question.query.policy.wait_ms, context.time_left_ms() - ANSWER_MARGIN_MS)
    seen_fills = _fills(question, context, looked)
    source = Source.MISS if _unchanged(question, context, looked) is None else Source.EXPIRED
    filled_by, pause_ms = Source.HIT, _FIRST_PAUSE_MS
    alive: bytes | None = None
    try:
        while True:
            token = None
            entry = _usable(question, context, looked, seen_fills)
            if entry is None and (failure := _failure(question, context, looked, seen_fills)) is not None:
                return _shared(failure, last_resort)
            if entry is None and (looked.lease is None or looked.lease != alive):
                token, looked, place = yield from acquire(question, context, looked)
                alive = looked.lease
                entry = _usable(question, context, looked, seen_fills)
            if entry is not None:
                if token is not None:
                    yield from release(question, token)
                return Outcome(source=filled_by, entry=entry)
            if token is not None:
                break
            left_ms = until_ms - context.elapsed_ms()
            if left_ms <= 0:
                return (yield from _waited_out(question, context, source, last_resort))
            yield Wait(min(left_ms, pause_ms // 2 + int(pause_ms * context.chance())))
            filled_by, pause_ms = Source.COLLAPSED, min(pause_ms * 2, _LONGEST_PAUSE_MS)
            looked = yield Look(question.keys)
    except CacheUnavailable:
        return (yield from _bypass_cache(question, context, last_resort))
    return (yield from _fill(question, context, token, looked, place, source, last_resort))


def _usable(question: Question, context: ReadContext, looked: Looked, seen_fills: frozenset[bytes]) -> Entry | None:
    """Return the entry if it is fresh and its tags are unchanged, or if its fill began after this request did.

    A fill that began later has seen every write that was committed when this request came. So its entry is right
    however old it is, and whatever has changed since. Neither constant writes nor a load longer than the ttl make a
    request wait for more than two loads.
    """
    entry = _entry(question, context, looked)
    if entry is None or entry.token not in seen_fills:
        return entry
    fresh = question.query.policy.freshness(entry.fresh_until_ms, context.now_ms()) is Freshness.FRESH
    return entry if fresh and entry.tag_versions == looked.tags else None


def _fills(question: Question, context: ReadContext, looked: Looked) -> frozenset[bytes]:
    """Return the tokens of the fills that began before the look. It must read entry and lease at one instant."""
    entry = decode(looked.entry) if looked.entry is not None else None
    failure = _left_failure(question, context, looked)
    tokens = {looked.lease, entry.token if entry is not None else None, failure.token if failure is not None else None}
    return frozenset(token for token in tokens if token is not None)


def _unchanged(question: Question, context: ReadContext, looked: Looked) -> Entry | None:
    """Return the entry if it can be read and every tag still has the version that the entry embeds."""
    entry = _entry(question, context, looked)
    # A missing tag is None, which equals no embedded version. Nor does a tag that is no version.
    return entry if entry is not None and entry.tag_versions == looked.tags else None


def _entry(question: Question, context: ReadContext, looked: Looked) -> Entry | None:
    """Return the entry if it can be read, and answers this question. It is fresh for no longer than the ttl."""
    entry = decode(looked.entry) if looked.entry is not None else None
    return question.accept(entry, context.now_ms()) if entry is not None else None


def _failure(
    question: Question, context: ReadContext, looked: Looked, seen_fills: frozenset[bytes] | None = None
) -> Failure | None:
    """Return the failure that this request shares, by the same rule as an entry (see `_usable`)."""
    failure = _left_failure(question, context, looked)
    if failure is None or failure.tag_versions == looked.tags:
        return failure
    return None if seen_fills is None or failure.token in seen_fills else failure


def _left_failure(question: Question, context: ReadContext, looked: Looked) -> Failure | None:
    """Return the failure that a load of this question has left in place of its lease."""
    if looked.lease is None or looked.is_held:
        return None
    return decode_failure(looked.lease, question.digest, context.now_ms())


def _shared(failure: Failure, last_resort: Entry | None) -> Outcome:
    if isinstance(failure.error, CacheUnavailable):  # the answer does not fit into the cache
        raise failure.error
    return _despite(failure.error, last_resort)


def _despite(error: CacheasideError, last_resort: Entry | None) -> Outcome:
    """Return the answer that is served although the load failed. Raises `error` if there is none."""
    if last_resort is None or isinstance(error, ConstraintViolated):  # which is no failure of the database
        raise error
    return Outcome(source=Source.STALE_IF_ERROR, entry=last_resort, detail="stale-if-error")


def _fill(
    question: Question,
    context: ReadContext,
    token: bytes,
    captured: Looked,
    place: Place,
    source: Source,
    last_resort: Entry | None,
) -> Steps:
    """Load as the holder of the lease, and store with the tag versions that were `captured` before the load."""
    try:
        entry = yield from load(question, context, token, captured)
    except DatabaseError as error:
        return _despite(error, last_resort)
    try:
        stored = yield from store(question, context, entry, place)
    except CacheUnavailable:
        return Outcome(source=source, entry=entry, detail="cache-unavailable")
    if stored and place is Place.NONE:
        return Outcome(source=source, entry=entry, detail=NO_ROOM)
    return Outcome(source=source, entry=entry, stored=stored, detail=None if stored else "lease-lost")


def _waited_out(question: Question, context: ReadContext, source: Source, last_resort: Entry | None) -> Steps:
    if question.query.policy.waited_out is WaitedOut.LOAD:
        return (yield from _bypass(question, context, source, "waited-out", last_resort))
    if last_resort is not None:
        return Outcome(source=Source.STALE_IF_ERROR, entry=last_resort, detail="waited-out")
    raise WaitedTooLong("another request is loading this answer, and takes longer than this one may wait")


def _bypass_cache(question: Question, context: ReadContext, last_resort: Entry | None) -> Steps:
    try:
        return (yield from _bypass(question, context, Source.BYPASS, "cache-unavailable", last_resort))
    except ConstraintViolated:
        raise
    except DatabaseError as error:
        return (yield from _last_chance(question, context, error))


def _last_chance(question: Question, context: ReadContext, error: DatabaseError) -> Steps:
    """Return the answer that the cache has, after the load that was to bypass it failed. Raises `error` if it has none.

    The cache may have been slower than a load, which is no reason to do without it when no load succeeds.
    """
    try:
        looked: Looked = yield Look(question.keys, is_last_chance=True)
    except CacheUnavailable:
        raise error from error.__cause__  # what PostgreSQL or the driver said, for the log
    seen = _unchanged(question, context, looked)
    if seen is None:
        raise error
    match question.query.policy.freshness(seen.fresh_until_ms, context.now_ms()):
        case Freshness.FRESH:
            return Outcome(source=Source.HIT, entry=seen)
        case Freshness.STALE:
            return Outcome(source=Source.STALE, entry=seen)
        case Freshness.LAST_RESORT:
            return _despite(error, seen)
        case Freshness.GONE:
            raise error


def _bypass(question: Question, context: ReadContext, source: Source, detail: str, last_resort: Entry | None) -> Steps:
    """Load without a lease, and store nothing."""
    try:
        entry = yield from load(question, context, context.token(), None)
    except DatabaseError as error:
        return _despite(error, last_resort)
    return Outcome(source=source, entry=entry, detail=detail)

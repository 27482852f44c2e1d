"""The strategies that are compared: those of others as small generators, ours as the production read path.

    naive                          GET, else load and SET
    lock                           GET, else SET NX of a lock with a fixed lifetime; others poll; DEL of the lock
    lease                          `cacheaside.reading.read_path.read`: a lease for each fill, which its holder renews
    lease, early refresh, stale    the same, with early_refresh = 1, stale = 10 min and a jitter of 5 %

A strategy of others that cannot reach the cache loads. It has neither breakers nor a limit on such loads.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Query
from cacheaside.errors import CacheUnavailable, DatabaseError, WaitedTooLong
from cacheaside.reading.fill import ReadContext
from cacheaside.reading.question import Question
from cacheaside.reading.read_path import read
from cacheaside.reading.steps import Load, Loaded, Wait
from proofs.simulator.store import Delete, Get, Put

__all__ = [
    "FULL",
    "LEASE",
    "LOCK",
    "NAIVE",
    "STRATEGIES",
    "Path",
    "Strategy",
    "lease_once_per_10_s",
    "questions",
    "xfetch_without_lease",
]

Path = Generator[Any, Any, Any]  # returns an `Outcome`, or the body of the answer

_TIMEOUT_MS: Final = 10_000
_LOCK_MS: Final = 5_000
_POLL_MS: Final = 50
_TOKEN_EVERY_MS: Final = 10_000
_DELETED: Final = b"-1"  # older than the newest write
_EXPIRY: Final = struct.Struct(">qi")  # when it expires, and how long the load took


@dataclass(frozen=True, slots=True)
class Strategy:
    name: str
    path: Callable[[Question, ReadContext], Path]
    policy: Policy
    is_ours: bool = False

    def invalidation(self, question: Question) -> Delete:
        """Return the command by which a writer invalidates the answer: ours deletes the tag, others the answer."""
        return Delete(question.keys.tags[0] if self.is_ours else question.keys.entry)

    def with_ttl(self, ttl_ms: int) -> Strategy:
        return replace(self, policy=self.policy._replace(ttl_ms=ttl_ms))


def questions(policy: Policy, number: int, sql: str = "select 1") -> list[Question]:
    """Return that many questions to one query, each with a row of its own as its tag."""
    query = Query(
        name="row",
        summary="",
        sql=sql,
        returns="one",
        timeout_ms=_TIMEOUT_MS,
        parameters={},
        tags=("rows:{id}",),
        policy=policy,
    )
    return [Question(query, {"id": each}) for each in range(number)]


def naive(question: Question, context: ReadContext) -> Path:
    key = question.keys.entry
    with suppress(CacheUnavailable):
        if (kept := (yield Get(key))) is not None:
            return kept
    loaded: Loaded = yield Load(question, _TIMEOUT_MS)
    with suppress(CacheUnavailable):
        yield Put(key, loaded.body or b"", question.query.policy.ttl_ms)
    return loaded.body


def lock(question: Question, context: ReadContext) -> Path:
    policy, key, mutex = question.query.policy, question.keys.entry, f"lock:{question.keys.entry}"
    until_ms = context.elapsed_ms() + policy.wait_ms
    has_lock = False
    try:
        while (kept := (yield Get(key))) is None:
            has_lock = yield Put(mutex, b"", _LOCK_MS, if_missing=True)
            if has_lock:
                break
            if context.elapsed_ms() >= until_ms:
                raise WaitedTooLong("the lock is not released")
            yield Wait(_POLL_MS)
        else:
            return kept
    except CacheUnavailable:
        pass
    loaded: Loaded | DatabaseError
    try:
        loaded = yield Load(question, _TIMEOUT_MS)
    except DatabaseError as error:
        loaded = error
    with suppress(CacheUnavailable):
        if isinstance(loaded, Loaded):
            yield Put(key, loaded.body or b"", policy.ttl_ms)
        if has_lock:
            yield Delete(mutex)
    if isinstance(loaded, DatabaseError):
        raise loaded
    return loaded.body


def xfetch_without_lease(question: Question, context: ReadContext) -> Path:
    """Early refresh by each reader for itself: the setting of the theory, with the production rule."""
    key, policy = question.keys.entry, question.query.policy
    kept: bytes | None = yield Get(key)
    if kept is not None:
        expires_ms, load_ms = _EXPIRY.unpack(kept)
        if not policy.refreshes_early(expires_ms, load_ms, context.now_ms(), context.chance):
            return
    began_ms = context.now_ms()
    yield Load(question, _TIMEOUT_MS)
    now_ms = context.now_ms()
    yield Put(key, _EXPIRY.pack(now_ms + policy.ttl_ms, now_ms - began_ms), policy.ttl_ms)


def lease_once_per_10_s(question: Question, context: ReadContext) -> Path:
    """The lease of the memcache paper: one token per key in 10 s. Without one, a reader takes the deleted value."""
    key = question.keys.entry
    if (kept := (yield Get(key))) is not None:
        return kept
    if not (yield Put(f"token:{key}", b"", _TOKEN_EVERY_MS, if_missing=True)):
        return _DELETED
    loaded: Loaded = yield Load(question, _TIMEOUT_MS)
    yield Put(key, loaded.body or b"", question.query.policy.ttl_ms)
    return loaded.body


_PLAIN: Final = Policy(ttl_ms=60_000)
NAIVE: Final = Strategy("naive", naive, _PLAIN)
LOCK: Final = Strategy("lock", lock, _PLAIN)
LEASE: Final = Strategy("lease", read, _PLAIN, is_ours=True)
FULL: Final = Strategy(
    "lease, early refresh, stale",
    read,
    Policy(ttl_ms=60_000, stale_ms=600_000, stale_if_error_ms=600_000, early_refresh=1.0, jitter=0.05),
    is_ours=True,
)
STRATEGIES: Final = {each.name: each for each in (NAIVE, LOCK, LEASE, FULL)}

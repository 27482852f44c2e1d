"""A failure that is shared: what the lease key holds for a moment after a load has failed.

Without it, those who waited for the load would try one after the other, each until its own timeout. It is judged as an
entry is: it embeds the tag versions from before the load, so an invalidation ends it, and the next request tries.

    no connection, or a caller's value          shared if that took a second: else to try again costs little
    its timeout is over, or a lock is held      shared if the load had all the time of its query, as others have
    any other                                   shared

A refresh shares any failure: no caller waits for it, and each answer in the meantime would begin another one.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from cacheaside.catalogue.policy import FAILURE_MS
from cacheaside.errors import (
    AnswerTooLarge,
    Busy,
    CacheasideError,
    ConstraintViolated,
    DatabaseError,
    DatabaseSilent,
    DatabaseUnavailable,
    EntryTooLarge,
    RefusedForNow,
    StatementFailed,
    StatementTimeout,
    Unprocessable,
)
from cacheaside.reading.entry import TOKEN_BYTES

__all__ = ["Failure", "decode_failure", "encode_failure", "is_shared"]

_FORMAT: Final = "cacheaside failure 1"
_BYTES_AT_MOST: Final = 65_536  # parsing a larger foreign value would take long
_SHARED: Final = {
    error.__name__: error
    for error in (
        *(DatabaseUnavailable, DatabaseSilent, StatementTimeout, Busy, RefusedForNow),
        *(Unprocessable, StatementFailed, AnswerTooLarge),
        EntryTooLarge,  # at the store: others need not wait for an entry that does not come
    )
}
# The clocks of two machines differ by milliseconds. A failure with another time was not left by one of ours.
_CLOCKS_DIFFER_MS: Final = 60_000


class Failure(NamedTuple):
    """`error` is the one that the load raised, `token` that of its lease. `question` is the digest of the question."""

    error: CacheasideError
    token: bytes
    tag_versions: tuple[bytes, ...]
    question: bytes


def is_shared(error: DatabaseError, took_ms: int, *, hurried: bool) -> bool:
    """Return whether others share the failure of a load, as in the table above.

    `hurried`: the load had less time than its query allows, because little was left of its request.
    """
    if type(error) is DatabaseUnavailable or isinstance(error, ConstraintViolated):
        return took_ms >= FAILURE_MS
    return not (hurried and isinstance(error, StatementTimeout | Busy))


def encode_failure(failure: Failure, now_ms: int) -> bytes | None:
    """Return the bytes of a failure that happens now, or None if it is of a kind that others do not share."""
    name = type(failure.error).__name__
    if name not in _SHARED:
        return None
    error: list[Any] = [str(failure.error)]
    if isinstance(failure.error, RefusedForNow):
        error.append(failure.error.retry_after_s)
    if isinstance(failure.error, ConstraintViolated):
        error = [failure.error.rule, failure.error.fields]
    keys = [each.hex() for each in (failure.question, failure.token, *failure.tag_versions)]
    return json.dumps([_FORMAT, now_ms, name, error, *keys]).encode()


def decode_failure(data: bytes, question: bytes, now_ms: int) -> Failure | None:
    """Return the failure that `data` holds, or None if it is none of this question, or not of this moment."""
    if len(data) > _BYTES_AT_MOST:
        return None
    try:
        form, at_ms, name, error, *keys = json.loads(data)
        asked, token, *versions = map(_key, keys)
        found = Failure(_SHARED[name](*error), token, tuple(versions), asked)
        lasts = abs(now_ms - at_ms) <= FAILURE_MS + _CLOCKS_DIFFER_MS
    except (ValueError, TypeError, LookupError, RecursionError):  # a lease, or a foreign value
        return None
    return found if form == _FORMAT and lasts and found.question == question else None


def _key(text: str) -> bytes:
    key = bytes.fromhex(text)
    if len(key) != TOKEN_BYTES:
        raise ValueError("not as long as a token")
    return key

"""The cache of the running stack, read without a trace: no entry counts as read because a person looked at it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import redis

from cacheaside.reading.keys import ENTRY
from local.errors import LocalError
from local.terminal import one_line

__all__ = ["Found", "RunningCache", "open_cache"]

# SCAN blocks the server. 100 keys take well under 1 ms.
_KEYS_PER_SCAN: Final = 100
# What one command may spend on a cache in which entries are few among other keys.
_SCANS_AT_MOST_S: Final = 5.0
_TIMEOUT_S: Final = 5.0


class Found(NamedTuple):
    """The value of one key, how long the server keeps it, and when it was last read, where the server tells."""

    key: str
    value: bytes
    size: int
    left_ms: int
    idle_s: int | None


@contextmanager
def open_cache(url: str) -> Iterator[RunningCache]:
    """Yield the cache at `url`. Raises `LocalError` if it does not answer, also within the block."""
    try:
        # One connection, because NO-TOUCH belongs to it.
        with redis.from_url(url, socket_timeout=_TIMEOUT_S, single_connection_client=True) as connected:
            yield RunningCache(connected)
    except redis.RedisError as error:
        server = urlsplit(url)
        place = f"{server.hostname}:{server.port or 6379}"
        raise LocalError(f"the cache at {place} does not answer ({one_line(error)})") from None


class RunningCache:
    """Reads values, and changes nothing: neither a key, nor the order in which the server evicts keys."""

    def __init__(self, connected: Any) -> None:
        self._redis = connected
        self.complete = False  # whether the last scan saw every entry
        with suppress(redis.ResponseError):  # a server older than Valkey 7.2 counts our reads like others
            connected.execute_command("CLIENT", "NO-TOUCH", "ON")

    def entries(self, query: str | None) -> Iterator[Found]:
        """Yield the entries, of one query or of all, in no order. Ends after 5 s."""
        self.complete = False
        ends_s = time.monotonic() + _SCANS_AT_MOST_S
        pattern = f"{ENTRY}{{{_literal(query)}:*" if query else f"{ENTRY}*"
        cursor, seen = 0, set[bytes]()
        while True:
            cursor, keys = self._redis.scan(cursor, match=pattern, count=_KEYS_PER_SCAN)
            for key in keys:
                if key not in seen:
                    seen.add(key)
                    if found := self.find(key.decode(errors="replace")):
                        yield found
            if cursor == 0:
                self.complete = True
                return
            if time.monotonic() > ends_s:
                return

    def find(self, key: str) -> Found | None:
        """Return the value of a key, None if it is missing or no string."""
        idle_s = self._idle_s(key)
        try:
            value = self._redis.get(key)
        except redis.ResponseError:  # of another type
            return None
        if not isinstance(value, bytes):
            return None
        return Found(key, value, len(value), int(self._redis.pttl(key)), idle_s)

    def values(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the value of each key, None if it is missing."""
        return list(self._redis.mget(keys)) if keys else []

    def _idle_s(self, key: str) -> int | None:
        try:
            idle = self._redis.object("IDLETIME", key)
        except redis.ResponseError:  # the policy is LFU
            return None
        return int(idle) if idle is not None else None


def _literal(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "*?[]^\\" else letter for letter in text)

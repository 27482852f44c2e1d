"""The cache driver of the verifier: which entries were read lately, and the values of keys.

Reading a value counts as a read of its key. SCAN, OBJECT IDLETIME and PEXPIRETIME do not.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from redis.exceptions import ResponseError

from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.cache.client import key_command, only_cache_unavailable
from cacheaside.drivers.cache.exchange import CacheCommand
from cacheaside.reading.keys import ENTRY
from cacheaside.settings import CacheSettings

__all__ = ["VerifiedCache"]

# SCAN blocks the server. 500 keys take well under 1 ms.
_KEYS_PER_SCAN: Final = 500
# The scans of one call together: enough for some 150,000 keys.
_SCANS_AT_MOST_S: Final = 3.0

# The reply of PEXPIRETIME about a key that is gone.
_GONE: Final = -2


class VerifiedCache(Cache):
    """The cache, as the verifier uses it."""

    def __init__(self, settings: CacheSettings) -> None:
        super().__init__(settings)
        self._scan = (0, b"0")  # the server and the cursor at which the scan continues

    def recently_read(self, within_s: int) -> tuple[dict[str, int], bool]:
        """Return the keys of the entries that were read in the last `within_s` seconds, and whether these are all.

        Each key has a version, which changes when the entry is stored again. A call scans keys of any kind, for up
        to 3 s, and the next call continues there. If the cache does not tell which keys were read, as with an LFU
        policy, all entries count as read. Raises CacheUnavailable.
        """
        found: dict[str, int] = {}
        ends_s = time.monotonic() + _SCANS_AT_MOST_S
        with only_cache_unavailable():
            # A scan that continues begins in the middle of a server, and must come back to that server.
            servers_left = len(self._client.ask_primaries("PING")) + (self._scan[1] != b"0")
            while servers_left:
                server, cursor = self._scan
                reply = self._client.ask_primary(server, "SCAN", cursor, "MATCH", f"{ENTRY}*", "COUNT", _KEYS_PER_SCAN)
                cursor, keys = _scanned(reply)
                found.update(self._versions(self._read_of(keys, within_s)))
                self._scan = (server + (cursor == b"0"), cursor)
                servers_left -= cursor == b"0"
                if time.monotonic() > ends_s:
                    break
        return found, servers_left == 0

    def values(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the value of each key, None if it is missing or no string. Raises CacheUnavailable."""
        with only_cache_unavailable():
            replies = self._client.run([key_command("MGET", key) for key in keys])
            return [value if isinstance(value, bytes) else None for (value,) in replies]

    def _read_of(self, keys: Sequence[str], within_s: int) -> Sequence[str]:
        try:
            idle_s = self._client.run_apart([CacheCommand(key, ("OBJECT", "IDLETIME", key)) for key in keys])
        except ResponseError:  # the policy is LFU, or we may not ask
            return keys
        return [key for key, idle in zip(keys, idle_s, strict=True) if isinstance(idle, int) and idle <= within_s]

    def _versions(self, keys: Sequence[str]) -> dict[str, int]:
        """Return the times at which the keys expire: each store sets another one."""
        expire_ms = self._client.run_apart([key_command("PEXPIRETIME", key) for key in keys])
        return {key: int(version) for key, version in zip(keys, expire_ms, strict=True) if version != _GONE}


def _scanned(reply: Any) -> tuple[bytes, list[str]]:
    cursor, keys = reply
    if not isinstance(keys, list) or not all(isinstance(each, bytes) for each in (cursor, *keys)):
        raise ValueError("not an answer to SCAN")
    return cursor, [key.decode(errors="replace") for key in dict.fromkeys(keys)]  # SCAN may return a key twice

"""The cache driver: each step of the read path as one bounded round trip to Valkey or Redis.

Every failure is one thing to the caller, CacheUnavailable, because the reaction is the same: ask PostgreSQL.
redis-py's own defaults would wait from 3 s (refused) to 60 s (silent) before they raise.
"""

from __future__ import annotations

from typing import Any, Final

from cacheaside.catalogue.policy import FAILURE_MS, LEASE_MS
from cacheaside.drivers.cache.client import key_command, only_cache_unavailable, zeros_and_ones
from cacheaside.drivers.cache.exchange import CacheCommand
from cacheaside.drivers.cache.scripts import (
    ACQUIRE,
    ADMIT,
    DROP_OVERSIZED,
    RELEASE,
    RENEW,
    STORE,
    TAG,
    run_scripts,
)
from cacheaside.drivers.cache.tags import TagCache
from cacheaside.errors import CacheUnavailable
from cacheaside.reading import steps
from cacheaside.reading.entry import ENTRY_BYTES_AT_MOST
from cacheaside.reading.keys import Keys

__all__ = ["Cache"]

_STRING_OR_MISSING: Final = {bytes, type(None)}


class Cache(TagCache):
    """One cache, entries and tags, on connections that are kept for the life of the process.

    On a node a look is one MGET of everything. In a cluster it is one MGET of entry and lease, which share a slot and
    must be read at one instant, and one of each tag, which may be read at any instant after the request came.
    """

    def look(self, step: steps.Look) -> steps.Looked:
        """Return entry and lease as they were at one instant, and tag versions. Raises CacheUnavailable."""
        with only_cache_unavailable():
            return _looked(self._client.run(self._read(step.keys)), step.keys)

    def acquire(self, step: steps.Acquire) -> steps.Acquired:
        """Return whether the step's token now holds the lease, and the values found. Raises CacheUnavailable."""
        keys = step.keys
        calls = [ACQUIRE.call([keys.lease, keys.entry], step.token, LEASE_MS)]
        for tag, seed in zip(keys.tags, step.seeds, strict=True):
            calls.append(TAG.call([tag], seed, step.tag_ms))
        if step.admission is not None:
            calls.append(ADMIT.call([step.admission.key], step.admission.every_us, step.admission.saved_us))
        with only_cache_unavailable():
            (lease, entry), *others = run_scripts(self._client, calls, again=True)
            tags, admitted = others[: len(keys.tags)], others[len(keys.tags) :]
            looked = _looked([[entry, lease], tags], keys)
            return steps.Acquired(looked.lease == step.token, looked, 0 not in zeros_and_ones(admitted))

    def store(self, step: steps.Store) -> bool:
        """Return True if the entry was written, False if the lease had moved on. Raises CacheUnavailable."""
        call = STORE.call([step.keys.entry, step.keys.lease], step.token, step.entry, step.lifetime_ms)
        # No script: if another one were unknown, the first would run twice.
        tags = step.keys.tags if step.tag_ms else ()
        prolong = [(key_command("PEXPIRE", tag, step.tag_ms, "GT"), None) for tag in tags]
        with only_cache_unavailable():
            # It is not sent twice: if it has run, a second run would return 0.
            return bool(zeros_and_ones(run_scripts(self._client, [call, *prolong], again=False))[0])

    def renew(self, step: steps.Renew) -> bool:
        """Return whether the step's token still holds the lease, which is prolonged then. Raises CacheUnavailable."""
        call = RENEW.call([step.keys.lease], step.token, LEASE_MS)
        with only_cache_unavailable():
            return bool(zeros_and_ones(run_scripts(self._client, [call], again=True))[0])

    def release(self, step: steps.Release) -> None:
        """Release the lease if the step's token still holds it. Raises CacheUnavailable."""
        left = () if step.failure is None else (step.failure, FAILURE_MS)
        with only_cache_unavailable():
            run_scripts(self._client, [RELEASE.call([step.keys.lease], step.token, *left)], again=True)

    def drop_oversized(self, keys: Keys) -> None:
        """Delete each value that is larger than any of ours. Raises CacheUnavailable."""
        calls = [DROP_OVERSIZED.call([key], ENTRY_BYTES_AT_MOST) for key in (keys.entry, keys.lease, *keys.tags)]
        with only_cache_unavailable():
            run_scripts(self._client, calls, again=True)

    def invalidate_entry(self, entry: str, lease: str) -> bool:
        """Delete one answer, and refuse a load of it that is running. Returns whether there was one."""
        with only_cache_unavailable():
            # The lease first: a holder that stores between the two deletions must not store an old answer.
            commands = [key_command("DEL", lease), key_command("DEL", entry)]
            return bool(zeros_and_ones(self._client.run(commands))[1])

    def ping(self) -> None:
        """Return if the cache answers, in a cluster every primary of it. Raises CacheUnavailable."""
        with only_cache_unavailable():
            if None in self._client.ask_primaries("PING"):
                raise CacheUnavailable("a server of the cache did not answer")

    def forget(self) -> None:
        """Close all connections; the next call opens new ones. Never raises."""
        self._client.forget()

    def _read(self, keys: Keys) -> list[CacheCommand]:
        if self._client.clustered:
            return [key_command("MGET", keys.entry, keys.lease), *(key_command("MGET", tag) for tag in keys.tags)]
        return [key_command("MGET", keys.entry, keys.lease, *keys.tags)]


def _looked(replies: list[Any], keys: Keys) -> steps.Looked:
    values = replies[0] if len(replies) == 1 else [value for reply in replies for value in reply]
    if len(values) != 2 + len(keys.tags) or not {type(value) for value in values} <= _STRING_OR_MISSING:
        raise ValueError("not the values of the keys")
    return steps.Looked(values[0], values[1], tuple(values[2:]))

"""The cache driver: each step of the read path as one bounded round trip to Valkey or Redis.

Every failure is one thing to the caller, CacheUnavailable, because the reaction is the same: ask PostgreSQL.
redis-py's own defaults would wait from 3 s (refused) to 60 s (silent) before they raise.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from typing import Any, Final

from redis.exceptions import NoScriptError

from cacheaside.drivers.cache.client import key_command, only_cache_unavailable, zeros_and_ones
from cacheaside.drivers.cache.exchange import CacheCommand
from cacheaside.drivers.cache.tags import TagCache
from cacheaside.errors import CacheUnavailable
from cacheaside.reading import steps
from cacheaside.reading.keys import Keys

__all__ = ["Cache"]

# KEYS: entry, lease. ARGV: token, entry, lifetime in ms. One slot, so it runs in cluster mode too.
_STORE: Final = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return 1
"""

# KEYS: lease. ARGV: token.
_RELEASE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


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
        commands = [key_command("SET", keys.lease, step.token, "NX", "PX", step.lease_ms)]
        for tag, version in zip(keys.tags, step.new_versions, strict=True):
            commands.append(key_command("SET", tag, version, "NX", "PX", step.tag_ms))
            # Another query may have made this tag with a shorter lifetime than this entry needs.
            commands.append(key_command("PEXPIRE", tag, step.tag_ms, "GT"))
        with only_cache_unavailable():
            looked = _looked(self._client.run(commands + self._read(keys))[len(commands) :], keys)
        return steps.Acquired(won=looked.lease == step.token, looked=looked)

    def store(self, step: steps.Store) -> bool:
        """Return True if the entry was written, False if the lease had moved on. Raises CacheUnavailable."""
        keys = step.keys
        return bool(self._script(_STORE, [keys.entry, keys.lease], step.token, step.entry, step.lifetime_ms))

    def release(self, step: steps.Release) -> None:
        """Release the lease if the step's token still holds it. Raises CacheUnavailable."""
        self._script(_RELEASE, [step.keys.lease], step.token)

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

    def _script(self, script: str, keys: Sequence[str], *arguments: str | bytes | int) -> int:
        """Run a script whose keys share a slot. It is not sent twice: if it has run, a second run would return 0."""
        digest = sha1(script.encode(), usedforsecurity=False).hexdigest()
        run = CacheCommand(keys[0], ("EVALSHA", digest, len(keys), *keys, *arguments))
        with only_cache_unavailable():
            try:
                reply = self._client.run([run], again=False)[-1]
            except NoScriptError:
                load = CacheCommand(keys[0], ("SCRIPT", "LOAD", script))
                reply = self._client.run([load, run], again=False)[-1]
            return zeros_and_ones([reply])[0]


def _looked(replies: list[Any], keys: Keys) -> steps.Looked:
    values = [value for reply in replies for value in reply]
    if len(values) != 2 + len(keys.tags) or not all(value is None or isinstance(value, bytes) for value in values):
        raise ValueError("not an answer to MGET")
    entry, lease, *tags = values
    return steps.Looked(entry, lease, tuple(tags))

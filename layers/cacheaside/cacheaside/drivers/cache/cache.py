"""The cache driver: each step of the read path as one bounded round trip to Valkey or Redis.

Whatever goes wrong here is one thing to the caller, CacheUnavailable, because the answer is the same: ask PostgreSQL.
redis-py's own defaults would wait from 3 s (refused) to 60 s (silent) before saying so.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha1
from secrets import token_bytes
from typing import Any, Final

from redis.exceptions import NoScriptError

from cacheaside.drivers.cache.exchange import FAILURES, Command
from cacheaside.drivers.cache.node import connect
from cacheaside.errors import CacheUnavailable
from cacheaside.reading import steps
from cacheaside.reading.entry import TOKEN_BYTES
from cacheaside.reading.keys import ENTRY, Keys, tag_key
from cacheaside.settings import CacheSettings

__all__ = ["Cache"]

_REPLICATION_ID: Final = re.compile(rb"^master_replid:([0-9a-f]+)\r?$", re.MULTILINE)

# While a server goes through so many keys, nobody else is served: well under a millisecond.
_KEYS_OF_A_STEP: Final = 100
_DICE: Final = random.SystemRandom()

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


class Cache:
    """Connections to one cache, opened when first needed and kept for the life of the process.

    On a node a look is one MGET of everything. In a cluster it is one MGET of entry and lease, which share a slot and
    must be seen at one instant, and one of each tag; a tag may be read at any instant after the caller came.
    """

    def __init__(self, settings: CacheSettings) -> None:
        self._client = connect(settings)
        self._replicas = settings.replicas
        self._walk = (0, b"0")  # the server and the cursor at which `sample` goes on

    def look(self, step: steps.Look) -> steps.Looked:
        """Return entry and lease as they were at one instant, and tag versions. Raises CacheUnavailable."""
        with _only_cache_unavailable():
            return _looked(self._client.run(self._read(step.keys)), step.keys)

    def acquire(self, step: steps.Acquire) -> steps.Acquired:
        """Return whether the lease is now held under the step's token, and what was there. Raises CacheUnavailable."""
        keys = step.keys
        commands = [_command("SET", keys.lease, step.token, "NX", "PX", step.lease_ms)]
        for tag, version in zip(keys.tags, step.new_versions, strict=True):
            commands.append(_command("SET", tag, version, "NX", "PX", step.tag_ms))
            # Another query may have made this tag with a shorter life than our entry needs.
            commands.append(_command("PEXPIRE", tag, step.tag_ms, "GT"))
        with _only_cache_unavailable():
            looked = _looked(self._client.run(commands + self._read(keys))[len(commands) :], keys)
        return steps.Acquired(won=looked.lease == step.token, looked=looked)

    def store(self, step: steps.Store) -> bool:
        """Return True if the entry was written, False if the lease had moved on. Raises CacheUnavailable."""
        keys = step.keys
        return bool(self._script(_STORE, [keys.entry, keys.lease], step.token, step.entry, step.lifetime_ms))

    def release(self, step: steps.Release) -> None:
        """Give the lease back, if it is still held under the step's token. Raises CacheUnavailable."""
        self._script(_RELEASE, [step.keys.lease], step.token)

    def invalidate_tags(self, tags: Sequence[str]) -> int:
        """Take out every answer made from any of `tags`. Returns how many of them any answer had been made from.

        A tag is deleted, not changed: missing equals nothing, and the next fill gives it a new random version. So rows
        that nobody reads leave nothing behind. Raises CacheUnavailable: a server did not confirm its share, or too few
        of its replicas did, so that one which takes over may bring answers back. The others have done theirs.
        """
        if not tags:
            return 0
        with _only_cache_unavailable():
            if self._replicas:
                # To delete what somebody else has just deleted is no write, and WAIT would not wait for theirs. So each
                # gets a version that no entry has, for a millisecond, which is one.
                commands = [_command("SET", tag_key(tag), token_bytes(TOKEN_BYTES), "PX", 1, "GET") for tag in tags]
                return sum(old is not None for old in self._client.run_apart(commands, replicas=self._replicas))
            return sum(_deleted(self._client.run_apart([_command("DEL", tag_key(tag)) for tag in tags])))

    def invalidate_entry(self, entry: str, lease: str) -> bool:
        """Take out one answer, and refuse the one that may be loading now. Returns whether there was one."""
        with _only_cache_unavailable():
            # The lease first: who stores between the two must not store what is to be taken out.
            return bool(_deleted(self._client.run([_command("DEL", lease), _command("DEL", entry)]))[1])

    def sample(self, at_most: int) -> list[tuple[str, bytes]]:
        """Return some entries with their keys, often fewer than `at_most`. Raises CacheUnavailable.

        Each call goes on where the last one stopped, so that in time all entries are come by. It looks at about as
        many keys as a server can be asked for while others wait, and takes of the entries among them any.
        """
        server, cursor = self._walk
        with _only_cache_unavailable():
            reply = self._client.ask_primary(server, "SCAN", cursor, "MATCH", f"{ENTRY}*", "COUNT", _KEYS_OF_A_STEP)
            cursor, found = _scanned(reply)
            self._walk = (server + (cursor == b"0"), cursor)
            keys = [key.decode(errors="replace") for key in _DICE.sample(found, min(at_most, len(found)))]
            replies = self._client.run([_command("MGET", key) for key in keys]) if keys else []
            return [(key, value) for key, (value,) in zip(keys, replies, strict=True) if isinstance(value, bytes)]

    def ping(self) -> None:
        """Return if the cache answers, in a cluster every primary of it. Raises CacheUnavailable."""
        with _only_cache_unavailable():
            if None in self._client.ask_primaries("PING"):
                raise CacheUnavailable("a server of the cache did not answer")

    def forget(self) -> None:
        """Close all connections; the next call opens others. Never raises."""
        self._client.forget()

    def replication_ids(self) -> str:
        """Return what names the primaries and what they hold: others when a replica has taken over, or one was emptied.

        Those of the servers that answer, with commas between; "" if the cache does not tell. Raises CacheUnavailable if
        none answers.
        """
        with _only_cache_unavailable():
            answers = filter(None, self._client.ask_primaries("INFO", "replication"))
            return ",".join(sorted(filter(None, map(_replication_id, answers))))

    def _read(self, keys: Keys) -> list[Command]:
        if self._client.clustered:
            return [_command("MGET", keys.entry, keys.lease), *(_command("MGET", tag) for tag in keys.tags)]
        return [_command("MGET", keys.entry, keys.lease, *keys.tags)]

    def _script(self, script: str, keys: Sequence[str], *arguments: str | bytes | int) -> int:
        """Run a script whose keys share a slot. It is not sent again, because it may have run: it would then say no."""
        digest = sha1(script.encode(), usedforsecurity=False).hexdigest()
        run = Command(keys[0], ("EVALSHA", digest, len(keys), *keys, *arguments))
        with _only_cache_unavailable():
            try:
                reply = self._client.run([run], again=False)[-1]
            except NoScriptError:
                load = Command(keys[0], ("SCRIPT", "LOAD", script))
                reply = self._client.run([load, run], again=False)[-1]
            return _deleted([reply])[0]


def _command(name: str, key: str, *arguments: str | bytes | int) -> Command:
    return Command(key, (name, key, *arguments))


# What redis-py hands on is whatever the server said, so it is checked before anyone believes it.


def _looked(replies: list[Any], keys: Keys) -> steps.Looked:
    values = [value for reply in replies for value in reply]
    if len(values) != 2 + len(keys.tags) or not all(value is None or isinstance(value, bytes) for value in values):
        raise ValueError("not an answer to MGET")
    entry, lease, *tags = values
    return steps.Looked(entry, lease, tuple(tags))


def _deleted(counts: list[Any]) -> list[int]:
    if not set(counts) <= {0, 1}:
        raise ValueError("not answers to DEL of one key each, nor of a script")
    return counts


def _scanned(reply: Any) -> tuple[bytes, list[bytes]]:
    cursor, keys = reply
    if not isinstance(keys, list) or not all(isinstance(each, bytes) for each in (cursor, *keys)):
        raise ValueError("not an answer to SCAN")
    return cursor, list(dict.fromkeys(keys))  # a key may come twice


def _replication_id(info: bytes) -> str:
    found = _REPLICATION_ID.search(info)
    return found[1].decode() if found else ""


@contextmanager
def _only_cache_unavailable() -> Iterator[None]:
    try:
        yield
    except FAILURES as error:
        raise CacheUnavailable("the cache did not answer") from error

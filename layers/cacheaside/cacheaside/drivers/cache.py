"""The cache driver: each step of the read path as one bounded round trip to Valkey or Redis.

Whatever goes wrong here is one thing to the caller, CacheUnavailable, because the answer is the same: ask PostgreSQL.
redis-py's own defaults would wait from 3 s (refused) to 60 s (silent) before saying so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.retry import Retry

from cacheaside import steps
from cacheaside.drivers.iam import cache_token, lambda_credentials
from cacheaside.errors import CacheUnavailable
from cacheaside.keys import Keys, tag_key
from cacheaside.settings import Authentication, CacheSettings

__all__ = ["Cache"]

_TIMEOUT_S: Final = 0.2

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
    """Connections to one cache, opened when first needed and kept for the life of the process."""

    def __init__(self, settings: CacheSettings) -> None:
        self._client = _client(settings)
        self._store = self._client.register_script(_STORE)
        self._release = self._client.register_script(_RELEASE)

    def look(self, step: steps.Look) -> steps.Looked:
        """Return entry, lease and tag versions as they were at one instant. Raises CacheUnavailable."""
        with _only_cache_unavailable():
            return _looked(self._client.mget(_all(step.keys)), step.keys)

    def acquire(self, step: steps.Acquire) -> steps.Acquired:
        """Return whether the lease is now held under the step's token, and what was there. Raises CacheUnavailable."""
        keys = step.keys
        with _only_cache_unavailable(), self._client.pipeline(transaction=False) as pipeline:
            pipeline.set(keys.lease, step.token, nx=True, px=step.lease_ms)
            for tag, version in zip(keys.tags, step.new_versions, strict=True):
                pipeline.set(tag, version, nx=True, px=step.tag_ms)
                # Another query may have made this tag with a shorter life than our entry needs.
                pipeline.pexpire(tag, step.tag_ms, gt=True)
            pipeline.mget(_all(keys))
            looked = _looked(pipeline.execute()[-1], keys)
        return steps.Acquired(won=looked.lease == step.token, looked=looked)

    def store(self, step: steps.Store) -> bool:
        """Return True if the entry was written, False if the lease had moved on. Raises CacheUnavailable."""
        with _only_cache_unavailable():
            keys = [step.keys.entry, step.keys.lease]
            return bool(self._store(keys=keys, args=[step.token, step.entry, step.lifetime_ms]))

    def release(self, step: steps.Release) -> None:
        """Give the lease back, if it is still held under the step's token. Raises CacheUnavailable."""
        with _only_cache_unavailable():
            self._release(keys=[step.keys.lease], args=[step.token])

    def invalidate_tags(self, tags: Sequence[str]) -> int:
        """Take out every answer made from any of `tags`. Returns how many of them any answer had been made from.

        A tag is deleted, not changed: missing equals nothing, and the next fill gives it a new random version. So rows
        that nobody reads leave nothing behind. Raises CacheUnavailable: some, all or none may have been taken out.
        """
        with _only_cache_unavailable(), self._client.pipeline(transaction=False) as pipeline:
            for tag in tags:
                pipeline.delete(tag_key(tag))
            return sum(_deleted(pipeline.execute()))

    def invalidate_entry(self, entry: str, lease: str) -> bool:
        """Take out one answer, and refuse the one that may be loading now. Returns whether there was one."""
        with _only_cache_unavailable(), self._client.pipeline(transaction=False) as pipeline:
            pipeline.delete(entry)
            pipeline.delete(lease)
            return bool(_deleted(pipeline.execute())[0])

    def ping(self) -> None:
        """Return if the cache answers. Raises CacheUnavailable."""
        with _only_cache_unavailable():
            self._client.ping()


def _all(keys: Keys) -> list[str]:
    return [keys.entry, keys.lease, *keys.tags]


# What redis-py hands on is whatever the server said, so it is checked before anyone believes it.


def _looked(values: Any, keys: Keys) -> steps.Looked:
    entry, lease, *tags = values
    if len(tags) != len(keys.tags) or not all(value is None or isinstance(value, bytes) for value in values):
        raise ValueError("not an answer to MGET")
    return steps.Looked(entry, lease, tuple(tags))


def _deleted(counts: list[Any]) -> list[int]:
    if not set(counts) <= {0, 1}:
        raise ValueError("not answers to DEL of one key each")
    return counts


@contextmanager
def _only_cache_unavailable() -> Iterator[None]:
    try:
        yield
    except (redis.RedisError, OSError, ValueError, TypeError, IndexError) as error:
        # Besides its own errors, redis-py lets through what its parser makes of an answer that is no Redis protocol.
        raise CacheUnavailable("the cache did not answer") from error


def _client(settings: CacheSettings) -> redis.Redis:
    url = urlsplit(settings.url)
    iam = settings.authentication is Authentication.IAM
    return redis.Redis(
        host=url.hostname or "",
        port=url.port or 6379,
        ssl=url.scheme == "rediss",
        username=None if iam else _or_none(url.username),
        password=None if iam else _or_none(url.password),
        credential_provider=_IamCredentials(settings, _or_none(url.username) or "") if iam else None,
        socket_connect_timeout=_TIMEOUT_S,
        socket_timeout=_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        # RESP 2 and no client name: opening a connection takes no round trip but AUTH.
        protocol=2,
        driver_info=None,
    )


def _or_none(part: str | None) -> str | None:
    return unquote(part) if part else None


class _IamCredentials(CredentialProvider):
    """Signs a new token each time that a connection is opened."""

    def __init__(self, settings: CacheSettings, user: str) -> None:
        self._settings = settings
        self._user = user

    def get_credentials(self) -> tuple[str, str]:
        region, name = self._settings.region, self._settings.name
        return self._user, cache_token(lambda_credentials(), region, name, self._user)

"""The cache driver of writers: invalidates tags, and tells the replication ids, which change with a failover.

It loads nothing of the read path. `cache.Cache` adds the entries to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from secrets import token_bytes
from typing import Final

from cacheaside.drivers.cache.client import key_command, only_cache_unavailable, open_client, zeros_and_ones
from cacheaside.drivers.cache.replicas import Replicas
from cacheaside.reading.entry import TOKEN_BYTES
from cacheaside.reading.keys import tag_key
from cacheaside.settings import CacheMode, CacheSettings

__all__ = ["ConfirmedTagCache", "TagCache"]

_REPLICATION_ID: Final = re.compile(rb"^master_replid:([0-9a-f]+)\r?$", re.MULTILINE)


class TagCache:
    """The tags of one cache. A failover to a replica that lags may undo an invalidation; a drainer replays it then."""

    def __init__(self, settings: CacheSettings) -> None:
        self._client = open_client(settings)

    def invalidate_tags(self, tags: Sequence[str]) -> int:
        """Invalidate every answer that was made from any of `tags`. Returns how many tags any answer had.

        A tag is deleted, not changed: a missing tag equals nothing, and the next fill gives it a new random version. So
        rows that are never read leave no key. Raises CacheUnavailable if a server did not confirm. The other servers
        have done their share then.
        """
        if not tags:
            return 0
        with only_cache_unavailable():
            return sum(zeros_and_ones(self._client.run_apart([key_command("DEL", tag_key(tag)) for tag in tags])))

    def replication_ids(self) -> str:
        """Return the replication ids of the primaries that answer, with commas between; "" if the cache tells none.

        An id changes when a replica has taken over, or when a server was emptied. Raises CacheUnavailable if no server
        answers.
        """
        with only_cache_unavailable():
            answers = filter(None, self._client.ask_primaries("INFO", "replication"))
            return ",".join(sorted(filter(None, map(_replication_id, answers))))


class ConfirmedTagCache(TagCache):
    """The tags of one cache. An invalidation that returns is one that no failover to a connected replica undoes.

    A replica that is promoted holds a prefix of its primary's writes, so it is enough that it has the last one.
    """

    def __init__(self, settings: CacheSettings) -> None:
        super().__init__(settings)
        # ElastiCache Serverless confirms each write only after another zone has it, and tells of no replicas.
        self._replicas = None if settings.mode is CacheMode.SERVERLESS else Replicas(settings.replicas)

    def invalidate_tags(self, tags: Sequence[str]) -> int:
        """Return the same as `TagCache.invalidate_tags`, once all replicas have confirmed.

        These are the replicas that are connected to each primary, and no fewer than the settings say. Raises
        CacheUnavailable if a server, or one of them, did not confirm.
        """
        if self._replicas is None:
            return super().invalidate_tags(tags)
        commands = []
        for key in map(tag_key, tags):
            # DEL of a key that is already gone is no write, and WAIT waits for writes only. So each tag also gets a
            # version that no entry embeds, for a millisecond. SET with GET would do both, and fail on a list.
            commands += [key_command("DEL", key), key_command("SET", key, token_bytes(TOKEN_BYTES), "PX", 1)]
        with only_cache_unavailable():
            return sum(zeros_and_ones(self._client.run_apart(commands, replicas=self._replicas)[::2]))


def _replication_id(info: bytes) -> str:
    found = _REPLICATION_ID.search(info)
    return found[1].decode() if found else ""

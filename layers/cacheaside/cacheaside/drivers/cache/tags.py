"""The cache driver of writers: invalidates tags, and tells the replication ids, which change with a failover.

It loads nothing of the read path. `cache.Cache` adds the entries to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from secrets import token_bytes
from typing import Final

from cacheaside.drivers.cache.client import key_command, only_cache_unavailable, open_client, zeros_and_ones
from cacheaside.reading.entry import TOKEN_BYTES
from cacheaside.reading.keys import tag_key
from cacheaside.settings import CacheSettings

__all__ = ["TagCache"]

_REPLICATION_ID: Final = re.compile(rb"^master_replid:([0-9a-f]+)\r?$", re.MULTILINE)


class TagCache:
    """The tags of one cache. So many replicas of each primary as the settings say must confirm an invalidation."""

    def __init__(self, settings: CacheSettings) -> None:
        self._client = open_client(settings)
        self._replicas = settings.replicas

    def invalidate_tags(self, tags: Sequence[str]) -> int:
        """Invalidate every answer that was made from any of `tags`. Returns how many tags any answer had.

        A tag is deleted, not changed: a missing tag equals nothing, and the next fill gives it a new random version. So
        rows that are never read leave no key. Raises CacheUnavailable if a server or too few of its replicas did not
        confirm: a replica that takes over may bring answers back. The other servers have done their share then.
        """
        if not tags:
            return 0
        with only_cache_unavailable():
            deletes = [key_command("DEL", tag_key(tag)) for tag in tags]
            if not self._replicas:
                return sum(zeros_and_ones(self._client.run_apart(deletes)))
            # DEL of a key that is already gone is no write, and WAIT waits for writes only. So each tag also gets a
            # version that no entry embeds, for a millisecond. SET with GET would do both, and fail on a list.
            writes = [key_command("SET", tag_key(tag), token_bytes(TOKEN_BYTES), "PX", 1) for tag in tags]
            pairs = [command for pair in zip(deletes, writes, strict=True) for command in pair]
            return sum(zeros_and_ones(self._client.run_apart(pairs, replicas=self._replicas)[::2]))

    def replication_ids(self) -> str:
        """Return the replication ids of the primaries that answer, with commas between; "" if the cache tells none.

        An id changes when a replica has taken over, or when a server was emptied. Raises CacheUnavailable if no server
        answers.
        """
        with only_cache_unavailable():
            answers = filter(None, self._client.ask_primaries("INFO", "replication"))
            return ",".join(sorted(filter(None, map(_replication_id, answers))))


def _replication_id(info: bytes) -> str:
    found = _REPLICATION_ID.search(info)
    return found[1].decode() if found else ""

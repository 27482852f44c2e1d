"""Writes that replicas confirm, also replicas that the settings do not name: each server tells how many it has.

    the writes, INFO replication, WAIT for as many as last time ──► all have confirmed ──► return the replies
                                           │
                                           └─ there are more ──► the same again, with a longer WAIT ──► return, or raise

So with the usual number of replicas a write takes one exchange, and without replicas it sends no WAIT.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any, Final
from weakref import WeakKeyDictionary

import redis

from cacheaside.drivers.cache.exchange import Batches, NotReplicated, exchange, raise_errors, wait_for_replicas

__all__ = ["Replicas"]

_CONNECTED: Final = re.compile(rb"^connected_slaves:([0-9]+)\r?$", re.MULTILINE)


class Replicas:
    """The replicas that must confirm: all that are connected to a server, and no fewer than `at_least`."""

    def __init__(self, at_least: int) -> None:
        self._at_least = at_least
        self._last_required: MutableMapping[redis.ConnectionPool, int] = WeakKeyDictionary()

    def exchange(self, batches: Batches, *, again: bool) -> list[list[Any]]:
        """Return the same as `exchange.exchange`, once the replicas of each server have confirmed its batch.

        WAIT covers only the writes of its own connection. So each batch must write, also when it is sent again. Raises
        NotReplicated if too few replicas confirmed in time, NodeLost, or the error that INFO or WAIT replied.
        """
        replies, unconfirmed = self._exchange_once(batches, again)
        if unconfirmed:
            _, unconfirmed = self._exchange_once({pool: batches[pool] for pool in unconfirmed}, again)
        if unconfirmed:
            raise NotReplicated("the number of replicas does not stop growing")
        return replies

    def _exchange_once(self, batches: Batches, again: bool) -> tuple[list[list[Any]], list[redis.ConnectionPool]]:
        """Return the replies to the batches, and the servers that have more replicas than WAIT waited for."""
        awaited = {pool: max(self._at_least, self._last_required.get(pool, 0)) for pool in batches}
        sent = {
            pool: [*lines, ("INFO", "replication"), *wait_for_replicas(awaited[pool])]
            for pool, lines in batches.items()
        }
        replies, unconfirmed = [], []
        for (pool, lines), got in zip(batches.items(), exchange(sent, again=again), strict=True):
            replies.append(got[: len(lines)])
            info, *waited = raise_errors(got[len(lines) :])
            required = self._last_required[pool] = max(self._at_least, _connected(info))
            confirmed = sum(waited)
            if confirmed >= required:
                continue
            if awaited[pool] >= required:
                raise NotReplicated(f"{confirmed} of {required} replicas have confirmed")
            unconfirmed.append(pool)
        return replies, unconfirmed


def _connected(info: bytes) -> int:
    """Return the number of replicas in a reply to INFO, 0 if it tells none."""
    found = _CONNECTED.search(info)
    return int(found[1]) if found else 0

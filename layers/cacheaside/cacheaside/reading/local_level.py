"""An optional first level in the process itself: a few answers, for a second or two, without any round trip.

It is off unless a query says `local = "2s"`. No invalidation reaches this memory, so an answer may be that much older
than the cache promises. It suits questions that are asked all the time, and whose answers may lag a little.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from cacheaside.reading.entry import Entry

__all__ = ["LocalLevel"]

_ENTRIES_AT_MOST: Final = 100


class LocalLevel:
    """The entries used last, each until its time is over. Not safe for several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[int, int, Entry]] = OrderedDict()

    def get(self, key: str, now_ms: int) -> Entry | None:
        """Return the entry kept under `key`, or None if there is none or its time is over."""
        since_ms, until_ms, entry = self._kept.get(key, (0, 0, None))
        # Before it was kept: the clock was set back, by an unknown time.
        if not since_ms <= now_ms < until_ms:
            self._kept.pop(key, None)
            return None
        self._kept.move_to_end(key)
        return entry

    def keep(self, key: str, entry: Entry, now_ms: int, for_ms: int) -> None:
        """Keep `entry` for that long, or as long as it is fresh if that ends sooner."""
        self._kept[key] = (now_ms, min(now_ms + for_ms, entry.fresh_until_ms), entry)
        self._kept.move_to_end(key)
        if len(self._kept) > _ENTRIES_AT_MOST:
            self._kept.popitem(last=False)

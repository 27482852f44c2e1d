"""`python -m bench.flooding [VALUES]`: whether a caller with many values pushes out the answers of others.

One caller asks about VALUES different values of a query, each once. Meanwhile others ask about 3,000 of the same query,
by Zipf's law, once for every five questions of that caller. Their answers take up a tenth of the cache, and those of
100,000 values are more than twice as large as it. During the flood, all together ask at most 1,000 times a second, the
default of `ReadsPerSecond`. A table tells how many of the others' questions are hits in the last third of the flood,
for each eviction policy, without and with the limit on new answers.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cacheaside.catalogue.parameters import Parameter
from cacheaside.catalogue.policy import NEW_ANSWERS, Policy
from cacheaside.catalogue.statements import Query
from cacheaside.drivers.cache.cache import Cache
from cacheaside.reading.outcome import NO_ROOM
from cacheaside.reading.question import Question
from cacheaside.reading.reader import Answer, Reader
from cacheaside.reading.steps import Load, Loaded
from cacheaside.settings import Authentication, CacheSettings
from local.progress import Progress
from local.servers.valkey import ValkeyServer

__all__ = ["Flood", "flooded_cache"]

_VALUES: Final = 100_000
_OTHERS: Final = 3_000
_FLOOD_FOR_ONE: Final = 5
_READS_A_SECOND: Final = 1_000
_BODY_BYTES: Final = 2_000
_POLICIES: Final = ("volatile-lru", "allkeys-lru", "volatile-lfu", "volatile-ttl", "volatile-random")
_LIMITS: Final = {"no limit": 1_000_000_000, "limit": NEW_ANSWERS}
# A fifth of the smallest node of ElastiCache. There is room for the others' answers, for those that the limit admits,
# and for those that are kept briefly.
_MAXMEMORY: Final = "100mb"


class Flood:
    """Others who ask about a few values, and one caller who asks about each value once. Loads take no time."""

    def __init__(self, server: ValkeyServer, new_answers: int) -> None:
        settings = CacheSettings(server.url, Authentication.URL, "", "")
        self.reader = Reader(Cache(settings), self)
        # The answers do not compress: they are random.
        policy = Policy(ttl_ms=600_000, stale_ms=600_000, new_answers=new_answers, compress=False)
        parameters = {"id": Parameter(name="id", type="integer")}
        self._query = Query("thing", "", "select 1", "one", 10_000, parameters, ("things:{id}",), policy)
        self.refused = 0

    def load(self, step: Load, renew: object = None) -> Loaded:
        return Loaded(os.urandom(_BODY_BYTES // 2).hex().encode())

    def question(self, value: int) -> Question:
        return Question(self._query, {"id": value})

    def ask(self, value: int) -> Answer:
        answer = self.reader.read(self.question(value), lambda: 29_000)
        self.refused += answer.outcome.detail == NO_ROOM
        return answer

    def flood(self, values: int) -> Iterator[int]:
        """Ask about new values, each once. Yields how many after each."""
        for number in range(values):
            self.ask(1_000_000 + number)
            yield number + 1


@contextmanager
def flooded_cache(policy: str, maxmemory: str = _MAXMEMORY) -> Iterator[ValkeyServer]:
    """Run an empty Valkey with little memory during the block."""
    with tempfile.TemporaryDirectory(prefix="cacheaside-") as folder:
        settings = {"maxmemory": maxmemory, "maxmemory-policy": policy}
        with ValkeyServer(Path(folder), settings=settings) as server:
            yield server


def hit_ratio(flood: Flood, values: int, progress: Progress) -> float:
    """Return the share of hits among the others' questions in the last third of the flood."""
    chance = random.Random(1)
    others, weights = range(1, _OTHERS + 1), list(itertools.accumulate(1 / rank for rank in range(1, _OTHERS + 1)))
    for other in others:
        flood.ask(other)
    hits: list[bool] = []
    began = time.monotonic()
    for done in flood.flood(values):
        if done % _FLOOD_FOR_ONE == 0:
            [other] = chance.choices(others, cum_weights=weights)
            hits.append(flood.ask(other).outcome.source.is_hit)
        progress(done, values)
        time.sleep(max(0.0, began + (done + len(hits)) / _READS_A_SECOND - time.monotonic()))
    last = hits[-len(hits) // 3 :]
    return sum(last) / len(last)


def main(values: int) -> None:
    print(f"\n| maxmemory-policy | {' | '.join(_LIMITS)} |\n|---|{'---:|' * len(_LIMITS)}")
    for policy in _POLICIES:
        shares = []
        for name, new_answers in _LIMITS.items():
            with flooded_cache(policy) as server:
                ratio = hit_ratio(Flood(server, new_answers), values, Progress(f"{policy}, {name}"))
            shares.append(f"{ratio:.1%}")
        print(f"| `{policy}` | {' | '.join(shares)} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else _VALUES)

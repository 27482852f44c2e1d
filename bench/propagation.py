"""`python -m bench.propagation [WRITES]`: the time from a COMMIT outside the API until reads return the new value.

The answer is cached, its row is updated, and a reader reads about every millisecond until it gets the new value. The
real invalidate function runs in its sandbox, invoked once a minute as the template says. Measures two cases: one write
after the other, while the function looks for changes every 25 ms; and more than a second without writes before each
write, so that it looks every 100 ms.
"""

from __future__ import annotations

import json
import math
import random
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

import psycopg2
from psycopg2.extensions import cursor as Cursor

from bench.functions_folder import FUNCTIONS, with_code
from bench.servers import ROOT, RunningServers, running_servers
from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.reading.outcome import Source
from cacheaside.reading.question import Question
from cacheaside.reading.reader import Reader
from local.api.pool import Pool
from local.api.schedule import Scheduler
from local.progress import Progress
from local.template import read_template
from migrate import sample_data

__all__ = ["CachedProduct", "invalidating", "percentile"]

WRITES: Final = 300
QUIET_WRITES: Final = 40  # each takes more than a second
PRODUCTS: Final = 200
PRODUCT: Final = 42

_PATIENCE_S: Final = 60.0


class CachedProduct:
    """One product, written by the owner of its table and read through the cache."""

    def __init__(self, servers: RunningServers, owner: Cursor) -> None:
        settings = servers.settings("QueryFunction")
        self._reader = Reader(Cache(settings.cache), Queries(settings.database))
        self._product = Question(Catalogue.load(FUNCTIONS / "catalogue").query("product"), {"id": PRODUCT})
        self._owner = owner
        self._price = 0

    def delay_ms(self) -> float:
        """Write, and return the milliseconds from COMMIT until a read returned the new value. Raises TimeoutError."""
        self._read()  # caches the answer if it was not cached
        self._price += 1
        self._owner.execute("update products set price = %s where id = %s", [self._price, PRODUCT])
        committed = time.perf_counter()
        while self._read() != self._price:
            if time.perf_counter() > committed + _PATIENCE_S:
                raise TimeoutError(f"the answer is still the old one, {_PATIENCE_S:.0f} s after the write")
            time.sleep(0.001)
        return (time.perf_counter() - committed) * 1000

    def _read(self) -> float | None:
        """Return the price that the cache has, or None if the read bypassed the cache, which would measure nothing."""
        outcome = self._reader.read(self._product, lambda: 29_000).outcome
        if outcome.refresh is not None:
            self._reader.refresh(outcome.refresh)
        if outcome.source is Source.BYPASS or outcome.entry.body is None:
            return None
        return float(json.loads(outcome.entry.body)["data"]["price"])


@contextmanager
def invalidating(servers: RunningServers) -> Iterator[None]:
    """Run the invalidate function on its schedule during the block. It polls."""
    template, name = read_template(ROOT / "template.yaml"), "InvalidateFunction"
    environment = {**servers.environment[name], "INVALIDATION": "poll"}
    function = with_code(template.functions[name], FUNCTIONS)
    with closing(Pool(function, environment, servers.folder / "log" / f"{name}.log")) as pool:
        pool.warm()
        schedules = [schedule for schedule in template.schedules if schedule.function == name]
        with Scheduler(schedules, {name: pool}, lambda text: print(text, file=sys.stderr)):
            yield


def percentile(values: list[float], share: float) -> float:
    """Return the smallest of `values` that at least `share` of them do not exceed."""
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]


def main(writes: int) -> None:
    with running_servers() as servers, closing(psycopg2.connect(servers.postgres.url)) as connection:
        sample_data.load(connection, FUNCTIONS / "catalogue", PRODUCTS, Progress("Sample data"))
        connection.autocommit = True
        with connection.cursor() as owner, invalidating(servers):
            product = CachedProduct(servers, owner)
            product.delay_ms()  # from now on, the function polls
            busy, progress = [], Progress("One write after the other")
            for number in range(writes):
                busy.append(product.delay_ms())
                progress(number + 1, writes)
                time.sleep(random.uniform(0.02, 0.2))
            quiet, progress = [], Progress("Writes after a second without writes")
            for number in range(QUIET_WRITES):
                time.sleep(random.uniform(1.2, 1.6))
                quiet.append(product.delay_ms())
                progress(number + 1, QUIET_WRITES)
    print("| from COMMIT to the new answer | writes | p50 | p90 | p99 | max |\n|---|" + "---:|" * 5)
    for name, delays in (("one write after the other", busy), ("after a second without writes", quiet)):
        figures = " | ".join(f"{percentile(delays, share):,.1f} ms" for share in (0.5, 0.9, 0.99, 1))
        print(f"| {name} | {len(delays)} | {figures} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else WRITES)

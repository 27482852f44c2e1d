"""`python -m bench.misses [ROUNDS]`: a miss through the whole query handler, beside the bare query.

Both run the same SQL with the same JSON of each row, in turn, each on a warm connection. The query sleeps, so that it
always takes the same time. A proxy counts how often a sandbox asks the cache for a miss.
"""

from __future__ import annotations

import random
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import psycopg2
from psycopg2.extensions import cursor as Cursor

from bench.cache_proxy import CacheProxy
from bench.figures import Figure, Results, run
from bench.measuring import interleaved, spread, spread_of_ratios, timed
from bench.query_stack import MISS, SLOW, Handler, QueryStack, event, import_handler, source
from bench.sandbox import Sandbox
from bench.unbuffered_log import unbuffered_log
from local.progress import Progress

__all__ = ["ROUNDS", "measure"]

ROUNDS: Final = 40
_SQL: Final = f"select row_to_json(answer.*)::text from ({SLOW}) as answer"
_ROWS: Final = 30
_LOADS_MS: Final = (100, 500, 10)
_AIM: Final = 1.05
_AIM_FROM_MS: Final = 100
_ROUND_TRIPS: Final = 3  # look, acquire, store


def measure(stack: QueryStack, size: int) -> Results:
    """Run `size` rounds for each load time, of one call each."""
    figures, rows = [], []
    with closing(psycopg2.connect(stack.database_url)) as connection, connection.cursor() as cur, unbuffered_log():
        connection.autocommit = True
        handler = import_handler(stack)
        for ms in _LOADS_MS:
            contenders = {"miss": timed(partial(_miss, handler, ms)), "query": timed(partial(_query, cur, ms))}
            blocks = interleaved(contenders, size, 1, Progress(f"misses, {ms} ms"))
            ours, theirs = ([block.p50_us / 1000 for block in of_one] for of_one in blocks.values())
            aim = _AIM if ms >= _AIM_FROM_MS else None
            figures.append(
                Figure.of("miss, wall ÷ bare query", f"query of {ms} ms", "×", spread_of_ratios(ours, theirs), aim)
            )
            above = spread([one - other for one, other in zip(ours, theirs, strict=True)])
            rows.append((f"{ms} ms", *(f"{value:.1f} ms" for value in (spread(theirs).median, spread(ours).median))))
            rows[-1] += (f"{above.median:.1f} ms",)
    figures.append(
        Figure.count("miss, round trips to the cache", "look, acquire, store", "", _round_trips(stack), _ROUND_TRIPS)
    )
    return Results(figures, ("the query sleeps", "bare query, p50", "miss, p50", "difference, median"), rows)


def _miss(handler: Handler, ms: int) -> None:
    response = handler(event("slow", rows=_ROWS, ms=ms, number=random.getrandbits(30)))
    assert source(response) == MISS


def _query(cur: Cursor, ms: int) -> None:
    cur.execute(_SQL, {"rows": _ROWS, "ms": ms, "number": 0})
    assert len(cur.fetchall()) == _ROWS


def _round_trips(stack: QueryStack) -> int:
    """Return how often one miss asks the cache."""
    port = urlsplit(stack.cache_url).port
    assert port
    with CacheProxy(port) as proxy:
        through = replace(stack, environment={**stack.environment, "CACHE_URL": proxy.url})
        with Sandbox(through) as sandbox:
            sandbox.invoke(event("slow", ms=1))  # opens the connections, and loads the scripts into the server
            before = proxy.round_trips
            assert source(sandbox.invoke(event("slow", ms=1, number=1))) == MISS
            return proxy.round_trips - before


if __name__ == "__main__":
    run(measure, ROUNDS)

"""`python -m bench.stampedes [CLIENTS]`: the loads when an answer expires for which many clients ask.

Each client is a process of its own with connections of its own, as a sandbox is. Before, each asks once, one after the
other. When the answer has expired, 50 clients a second ask for it, and a load takes half a second longer than all of
them need to arrive. All at one moment would have to share the few CPUs of this machine, which sandboxes do not. Our
loads are counted as sessions of PostgreSQL, those of the others by their loader.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import time
from collections.abc import Awaitable, Callable
from functools import partial
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Semaphore
from typing import Any, Final

import redis

from bench.figures import Figure, Results, run
from bench.load_counter import LoadCounter
from bench.peers import aiocache, cashews, dogpile, redis_py
from bench.query_stack import HOT_TEXT, HOT_TTLS_S, Handler, QueryStack, event, import_handler
from bench.unbuffered_log import unbuffered_log
from local.progress import Progress

__all__ = ["CLIENTS", "measure"]

CLIENTS: Final = 200
_LOADS: Final = "loads"  # the key that the others' loaders count in
_CLIENTS_A_SECOND: Final = 50
_MANY: Final = 20
_PATIENCE_S: Final = 400.0
_fork = multiprocessing.get_context("fork")

Ask = Callable[[], object]
MakeAsk = Callable[[], Ask]  # makes, in the process of a client, the function with which it asks


def measure(stack: QueryStack, size: int) -> Results:
    """Let `size` clients ask for an answer of each library."""
    figures, rows = [], []
    progress = Progress("stampedes")
    load_s = size / _CLIENTS_A_SECOND + 0.5
    ttl_s = HOT_TTLS_S[size >= _MANY]  # so that the answer is fresh until each client has asked
    with unbuffered_log():
        contenders = _contenders(stack.cache_url, import_handler(stack), load_s, ttl_s)
        gc.freeze()  # else a collection in a client would copy all pages of this process
        for number, (name, make_ask) in enumerate(contenders.items()):
            loads, waits_s = _expire(stack, make_ask, size, ttl_s)
            aim = 1 if name.startswith("ours") else None
            figures.append(Figure.count(f"loads for {size} clients", name, "", loads, aim))
            rows.append((name, str(loads), f"{max(waits_s):.1f} s"))
            progress(number + 1, len(contenders))
    return Results(figures, ("", "loads", "longest wait"), rows)


def _contenders(url: str, handler: Handler, load_s: float, ttl_s: int) -> dict[str, MakeAsk]:
    load, load_async = partial(_load, url, load_s), partial(_load_async, url, load_s)
    hot, ms = f"hot_{ttl_s}s", int(load_s * 1000)
    return {
        "ours": lambda: _ours(handler, event(hot, ms=ms)),
        "ours, stale = 10m": lambda: _ours(handler, event(f"{hot}_stale", ms=ms)),
        "dogpile.cache": lambda: dogpile.get_or_create(url, "hot", load, ttl_s),
        "cashews, lock": lambda: _in_a_loop(cashews.get_or_create(url, "hot", load_async, ttl_s, lock=True)),
        "aiocache, cached_stampede": lambda: _in_a_loop(
            aiocache.get_or_create(url, "hot", load_async, ttl_s, lease_s=2 * load_s)
        ),
        "redis-py, GET and SETEX": lambda: redis_py.get_or_set(url, "hot", load, ttl_s),
    }


def _ours(handler: Handler, request: dict[str, Any]) -> Ask:
    """Return the function that asks, when the client has a connection to the cache."""
    handler(event("answer"))
    return partial(handler, request)


def _in_a_loop(ask: Callable[[], Awaitable[object]]) -> Ask:
    runner = asyncio.Runner()

    async def answer() -> object:
        return await ask()

    return lambda: runner.run(answer())


def _load(url: str, load_s: float) -> bytes:
    with redis.Redis.from_url(url) as client:
        client.incr(_LOADS)
    time.sleep(load_s)
    return HOT_TEXT.encode()


async def _load_async(url: str, load_s: float) -> str:
    return (await asyncio.to_thread(_load, url, load_s)).decode()


def _expire(stack: QueryStack, make_ask: MakeAsk, clients: int, ttl_s: int) -> tuple[int, list[float]]:
    """Return the loads after the answer has expired, and how long each client waited for it."""
    warm, gate, waits_s = _fork.Semaphore(0), _fork.Barrier(clients + 1), _fork.Queue()
    arguments = [(make_ask, number, warm, gate, waits_s) for number in range(clients)]
    processes = [_fork.Process(target=_client, args=each) for each in arguments]
    with redis.Redis.from_url(stack.cache_url) as cache:
        cache.flushall()
        for process in processes:
            process.start()
            assert warm.acquire(timeout=_PATIENCE_S)
        time.sleep(ttl_s + 0.5)
        cache.delete(_LOADS)
        with LoadCounter(stack.database_url, HOT_TEXT) as counter:
            gate.wait(_PATIENCE_S)
            waited = [waits_s.get(timeout=_PATIENCE_S) for _ in processes]
        for process in processes:
            process.join()
        return counter.total + int(cache.get(_LOADS) or 0), waited


def _client(make_ask: MakeAsk, number: int, warm: Semaphore, gate: Barrier, waits_s: Queue[float]) -> None:
    ask = make_ask()
    ask()  # opens the connections
    warm.release()
    gate.wait(_PATIENCE_S)
    time.sleep(number / _CLIENTS_A_SECOND)
    began = time.perf_counter()
    ask()
    waits_s.put(time.perf_counter() - began)


if __name__ == "__main__":
    run(measure, CLIENTS)

"""`python -m bench.stampedes [CLIENTS]`: the loads when an answer expires for which many clients ask.

Each client is a process of its own with connections of its own, as a sandbox is. Before, each asks once, one after the
other. When the answer has expired, 100 clients a second ask for it, and a load takes half a second longer than all of
them need to arrive. All at one moment would have to share the few CPUs of this machine, which sandboxes do not. Our
loads are counted as sessions of PostgreSQL, those of the others by their loader.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Awaitable, Callable
from functools import partial
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Semaphore
from typing import Final

import redis

from bench.figures import Figure, Results, run
from bench.load_counter import LoadCounter
from bench.peers import aiocache, cashews, dogpile, redis_py
from bench.query_stack import HOT_TEXT, HOT_TTL_S, Handler, QueryStack, event, import_handler
from bench.unbuffered_log import unbuffered_log
from local.progress import Progress

__all__ = ["CLIENTS", "measure"]

CLIENTS: Final = 200
# Keys of the others' loaders: how many ran, and how long each takes in ms.
_LOADS, _LOAD_MS = "loads", "load ms"
_CLIENTS_A_SECOND: Final = 100
_PATIENCE_S: Final = 120.0
_fork = multiprocessing.get_context("fork")

Ask = Callable[[], object]
# Returns two functions with which a client asks: one to open its connections, and one for the answer that expires.
MakeAsk = Callable[[], tuple[Ask, Ask]]


def measure(stack: QueryStack, size: int) -> Results:
    """Let `size` clients ask for an answer of each library."""
    figures, rows = [], []
    progress = Progress("stampedes")
    with unbuffered_log():
        load_ms = int(1000 * size / _CLIENTS_A_SECOND) + 500
        contenders = _contenders(stack.cache_url, import_handler(stack), load_ms)
        for number, (name, make_ask) in enumerate(contenders.items()):
            loads, waits_s = _expire(stack, make_ask, size, load_ms)
            aim = 1 if name.startswith("ours") else None
            figures.append(Figure.count(f"loads for {size} clients", name, "", loads, aim))
            rows.append((name, str(loads), f"{max(waits_s):.1f} s"))
            progress(number + 1, len(contenders))
    return Results(figures, ("", "loads", "longest wait"), rows)


def _contenders(url: str, handler: Handler, load_ms: int) -> dict[str, MakeAsk]:
    load, load_async = partial(_load, url), partial(_load_async, url)
    lease_s = load_ms / 500
    return {
        "ours": lambda: _ours(handler, "hot", load_ms),
        "ours, stale = 10m": lambda: _ours(handler, "hot_stale", load_ms),
        "dogpile.cache": lambda: _twice(dogpile.get_or_create(url, "hot", load, HOT_TTL_S)),
        "cashews, lock": lambda: _in_a_loop(cashews.get_or_create(url, "hot", load_async, HOT_TTL_S, lock=True)),
        "cashews": lambda: _in_a_loop(cashews.get_or_create(url, "hot", load_async, HOT_TTL_S)),
        "aiocache, cached_stampede": lambda: _in_a_loop(
            aiocache.get_or_create(url, "hot", load_async, HOT_TTL_S, lease_s=lease_s)
        ),
        "aiocache": lambda: _in_a_loop(aiocache.get_or_create(url, "hot", load_async, HOT_TTL_S)),
        "redis-py, GET and SETEX": lambda: _twice(redis_py.get_or_set(url, "hot", load, HOT_TTL_S)),
    }


def _ours(handler: Handler, query: str, load_ms: int) -> tuple[Ask, Ask]:
    return partial(handler, event(query, ms=0)), partial(handler, event(query, ms=load_ms))


def _twice(ask: Ask) -> tuple[Ask, Ask]:
    return ask, ask


def _in_a_loop(ask: Callable[[], Awaitable[object]]) -> tuple[Ask, Ask]:
    runner = asyncio.Runner()

    async def answer() -> object:
        return await ask()

    return _twice(lambda: runner.run(answer()))


def _load(url: str) -> bytes:
    with redis.Redis.from_url(url) as client:
        client.incr(_LOADS)
        time.sleep(int(client.get(_LOAD_MS) or 0) / 1000)
    return HOT_TEXT.encode()


async def _load_async(url: str) -> str:
    return (await asyncio.to_thread(_load, url)).decode()


def _expire(stack: QueryStack, make_ask: MakeAsk, clients: int, load_ms: int) -> tuple[int, list[float]]:
    """Return the loads after the answer has expired, and how long each client waited for it."""
    warm, gate, waits_s = _fork.Semaphore(0), _fork.Barrier(clients + 1), _fork.Queue()
    arguments = [(make_ask, number, warm, gate, waits_s) for number in range(clients)]
    processes = [_fork.Process(target=_client, args=each) for each in arguments]
    with redis.Redis.from_url(stack.cache_url) as cache:
        cache.flushall()
        for process in processes:
            process.start()
            assert warm.acquire(timeout=_PATIENCE_S)
        time.sleep(HOT_TTL_S + 0.5)
        cache.mset({_LOADS: 0, _LOAD_MS: load_ms})
        with LoadCounter(stack.database_url, HOT_TEXT) as counter:
            gate.wait(_PATIENCE_S)
            waited = [waits_s.get(timeout=_PATIENCE_S) for _ in processes]
        for process in processes:
            process.join()
        return counter.total + int(cache.get(_LOADS) or 0), waited


def _client(make_ask: MakeAsk, number: int, warm: Semaphore, gate: Barrier, waits_s: Queue[float]) -> None:
    warm_up, ask = make_ask()
    warm_up()
    if number == 0:
        ask()
    warm.release()
    gate.wait(_PATIENCE_S)
    time.sleep(number / _CLIENTS_A_SECOND)
    began = time.perf_counter()
    ask()
    waits_s.put(time.perf_counter() - began)


if __name__ == "__main__":
    run(measure, CLIENTS)

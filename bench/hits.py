"""`python -m bench.hits [ROUNDS]`: a hit through the whole query handler, beside what other libraries need for one.

All of them run in this process, in turn, against the same server. Ours takes an event of API Gateway and makes the
response with its headers and metrics; the others only get the body. redis-py sends the same command as our hit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Final

import redis

from bench.figures import Figure, Results, run
from bench.measuring import Block, RunBlock, interleaved, percentile, spread, spread_of_ratios, timed
from bench.peers import aiocache, cashews, dogpile, redis_py
from bench.query_stack import ANSWERS, HIT, Handler, QueryStack, event, import_handler, source
from bench.unbuffered_log import unbuffered_log
from local.progress import Progress

__all__ = ["ROUNDS", "measure"]

ROUNDS: Final = 150
_CALLS: Final = 50  # in a block
_TTL_S: Final = 7200
_PEERS: Final = 3  # with a loader
_OURS, _MGET = "our handler", "MGET by redis-py"
_CPU_AIMS: Final = {_MGET: 2.0, "dogpile.cache": 1.5, "cashews": 1.5, "aiocache": 1.5}
_WALL_AIMS: Final = {_MGET: 1.5}


def measure(stack: QueryStack, size: int) -> Results:
    """Run `size` rounds for each answer."""
    figures: list[Figure] = []
    rows: list[tuple[str, ...]] = []
    with asyncio.Runner() as runner, unbuffered_log():
        handler = import_handler(stack)
        for answer, wanted in ANSWERS.items():
            loads: list[str] = []
            contenders = _contenders(stack.cache_url, handler, event("answer", rows=wanted), answer, runner, loads)
            blocks = interleaved(contenders, size, _CALLS, Progress(f"hits, {answer}"))
            assert len(loads) == _PEERS, "after the first call of each library, all calls are hits"
            figures += _figures(answer, blocks)
            rows += [_row(answer, name, of_one) for name, of_one in blocks.items()]
    return Results(figures, ("answer", "", "CPU", "wall p50", "p99"), rows)


def _contenders(
    url: str, handler: Handler, request: dict[str, Any], answer: str, runner: asyncio.Runner, loads: list[str]
) -> dict[str, RunBlock]:
    body: str = handler(request)["body"]
    words = _command_of(url, partial(handler, request))

    def load() -> bytes:
        loads.append(answer)
        return body.encode()

    async def load_text() -> str:
        return load().decode()

    return {
        _OURS: partial(_timed_hits, handler, request),
        _MGET: timed(redis_py.default(url, words)),
        "MGET by redis-py, tuned": timed(redis_py.tuned(url, words)),
        "dogpile.cache": timed(dogpile.get_or_create(url, f"dogpile {answer}", load, _TTL_S)),
        "cashews": _timed_async(runner, cashews.get_or_create(url, f"cashews {answer}", load_text, _TTL_S)),
        "aiocache": _timed_async(runner, aiocache.get_or_create(url, f"aiocache {answer}", load_text, _TTL_S)),
    }


def _command_of(url: str, hit: Callable[[], dict[str, Any]]) -> list[str]:
    """Return the words of the one command that `hit` sends."""
    with redis.Redis.from_url(url) as client, redis.Redis.from_url(url) as watching, watching.monitor() as monitor:
        client.ping()  # opens the connection
        assert source(hit()) == HIT
        client.echo("end of the hit")
        while monitor.next_command()["command"] != "PING":
            pass
        sent = [str(monitor.next_command()["command"]) for _ in range(2)]
    assert sent[1].startswith("ECHO"), f"a hit sends one command, and this one sent {sent}"
    return sent[0].split(" ")


def _timed_hits(handler: Handler, request: dict[str, Any], calls: int) -> Block:
    block = timed(partial(handler, request))(calls)
    assert source(handler(request)) == HIT
    return block


def _timed_async(runner: asyncio.Runner, call: Callable[[], Awaitable[object]]) -> RunBlock:
    """Return the same as `timed`, in an event loop that is already running when the clock starts."""

    async def block(calls: int) -> Block:
        wall_us = []
        cpu_ns = time.process_time_ns()
        for _ in range(calls):
            began = time.perf_counter_ns()
            await call()
            wall_us.append((time.perf_counter_ns() - began) / 1000)
        return Block((time.process_time_ns() - cpu_ns) / 1000 / calls, wall_us)

    return lambda calls: runner.run(block(calls))


def _figures(answer: str, blocks: dict[str, list[Block]]) -> Iterator[Figure]:
    ours = blocks[_OURS]
    for name, theirs in list(blocks.items())[1:]:
        cpu = spread_of_ratios([each.cpu_us for each in ours], [each.cpu_us for each in theirs])
        wall = spread_of_ratios([each.p50_us for each in ours], [each.p50_us for each in theirs])
        beside = _MGET if name == _MGET else "another client or library"
        label = answer if name == _MGET else f"{name}, {answer}"
        yield Figure.of(f"hit, CPU ÷ {beside}", label, "×", cpu, _CPU_AIMS.get(name))
        yield Figure.of(f"hit, wall p50 ÷ {beside}", label, "×", wall, _WALL_AIMS.get(name))


def _row(answer: str, name: str, blocks: list[Block]) -> tuple[str, ...]:
    wall_us = [each for block in blocks for each in block.wall_us]
    cpu_us = spread([block.cpu_us for block in blocks]).median
    return answer, name, *(f"{us:,.0f} µs" for us in (cpu_us, percentile(wall_us, 0.5), percentile(wall_us, 0.99)))


if __name__ == "__main__":
    run(measure, ROUNDS)

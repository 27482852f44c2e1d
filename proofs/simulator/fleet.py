"""The model of Lambda: sandboxes that serve one request at a time, and that are started when none is idle.

A request that finds no sandbox idle waits for a new one to start. If there are as many as allowed, or too many were
started lately, it is throttled. A refresh after the response occupies its sandbox. No sandbox ends, except in a deploy.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from random import Random
from typing import Any, Final

from cacheaside.catalogue.policy import RENEW_EVERY_MS
from cacheaside.drivers.breakers import BreakerOptions, Breakers
from cacheaside.drivers.guarded import CACHE
from cacheaside.errors import CacheasideError, CacheUnavailable
from cacheaside.reading import steps
from cacheaside.reading.entry import TOKEN_BYTES
from cacheaside.reading.fill import ReadContext
from cacheaside.reading.outcome import Outcome
from cacheaside.reading.question import Question
from proofs.simulator.database import Database
from proofs.simulator.events import Loop
from proofs.simulator.store import Store
from proofs.simulator.strategies import Path, Strategy

__all__ = ["CPU_MS_PER_READ", "Fleet", "FleetOptions", "OnAnswer", "Result"]

# How long a read keeps its sandbox busy besides the waits for cache and database: the CPU of a sandbox, with AWS's
# runtime client, that `python -m bench.served_hits` measures. With 1 GB, which is 0.58 of a core, it takes longer.
CPU_MS_PER_READ: Final = 0.7

_TIMEOUT_MS: Final = 29_000  # of the function
# Lambda starts at most 1,000 sandboxes of a function at once, and refills this allowance within 10 s.
_STARTS_AT_MOST: Final = 1_000.0
_STARTS_PER_MS: Final = 0.1

# Told of each request: when it came, how long it took, and its result.
OnAnswer = Callable[[float, float, "Result"], object]


class Result(Enum):
    """What became of a request. OUTDATED: its answer is older than a write that was acknowledged before it came."""

    ANSWERED = auto()
    OUTDATED = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """With the defaults, sandboxes cost no time, and there is always one: for the theory."""

    sandboxes_at_most: float = math.inf
    cold_start_ms: float = 0.0
    cpu_ms: float = 0.0


class Fleet:
    """All sandboxes of the query function. Each has breakers of its own, if the strategy is ours."""

    def __init__(
        self,
        loop: Loop,
        store: Store,
        database: Database,
        random: Random,
        strategy: Strategy,
        options: FleetOptions,
        on_answer: OnAnswer = lambda _arrived_ms, _took_ms, _result: None,
    ) -> None:
        self.loop, self.store, self.database, self.random = loop, store, database, random
        self.strategy, self.options, self.on_answer = strategy, options, on_answer
        self.sandboxes = 0
        self.acknowledged: Counter[Any] = Counter()
        self._idle: list[_Sandbox] = []
        self._generation = 0
        self._starts, self._starts_read_ms = _STARTS_AT_MOST, 0.0

    def ask(self, question: Question) -> None:
        """Serve a request that comes now."""
        now_ms = self.loop.now_ms
        if self._idle:
            _Run(self, self._idle.pop(), question).begin()
        elif self._may_start():
            self.sandboxes += 1
            run = _Run(self, _Sandbox(self, self._generation), question)
            self.loop.after(self.options.cold_start_ms, run.begin)
        else:
            self.on_answer(now_ms, 0.0, Result.FAILED)

    def write(self, question: Question) -> None:
        """Commit a write to the row of that question, invalidate its answer, and then acknowledge the write."""
        row = question.values["id"]
        self.database.committed[row] += 1

        def acknowledge(_: Any, version: int = self.database.committed[row]) -> None:
            self.acknowledged[row] = max(self.acknowledged[row], version)

        self.store.send(self.strategy.invalidation(question), acknowledge)

    def replace_all(self) -> None:
        """Deploy: no sandbox from before takes another request. Those that are busy finish first."""
        self.sandboxes -= len(self._idle)
        self._idle.clear()
        self._generation += 1

    def release(self, sandbox: _Sandbox) -> None:
        """Make the sandbox idle, or end it if it is from before a deploy."""
        if sandbox.generation == self._generation:
            self._idle.append(sandbox)
        else:
            self.sandboxes -= 1

    def _may_start(self) -> bool:
        if self.options.sandboxes_at_most == math.inf:
            return True
        now_ms = self.loop.now_ms
        self._starts = min(_STARTS_AT_MOST, self._starts + (now_ms - self._starts_read_ms) * _STARTS_PER_MS)
        self._starts_read_ms = now_ms
        if self._starts < 1 or self.sandboxes >= self.options.sandboxes_at_most:
            return False
        self._starts -= 1
        return True


class _Sandbox:
    __slots__ = ("breakers", "generation")

    def __init__(self, fleet: Fleet, generation: int) -> None:
        self.generation = generation
        options = BreakerOptions(
            later=lambda task: fleet.loop.after(0, lambda _: task()),
            now_ms=lambda: int(fleet.loop.now_ms),
            chance=fleet.random.random,
        )
        unavailable = CacheUnavailable("the cache failed lately")
        self.breakers = Breakers(CACHE, unavailable, lambda names: set() if fleet.store.is_down else names, options)


class _Run:
    """One request in its sandbox, and the refresh after it: does the steps of a path, one after the other."""

    __slots__ = (
        *("_arrived_ms", "_breaker", "_fleet", "_is_answered", "_loading", "_oldest", "_path", "_question"),
        "_sandbox",
    )

    def __init__(self, fleet: Fleet, sandbox: _Sandbox, question: Question) -> None:
        self._fleet, self._sandbox, self._question = fleet, sandbox, question
        self._arrived_ms = fleet.loop.now_ms
        self._oldest = fleet.acknowledged[question.values["id"]]
        self._is_answered = False
        self._loading: steps.Load | None = None

    def begin(self, _: object = None) -> None:
        loop, random = self._fleet.loop, self._fleet.random
        began_ms = loop.now_ms

        def now_ms() -> int:
            return int(loop.now_ms)

        context = ReadContext(
            now_ms,
            now_ms,
            partial(random.randbytes, TOKEN_BYTES),
            random.random,
            lambda: _TIMEOUT_MS - int(loop.now_ms - began_ms),
        )
        self._path: Path = self._fleet.strategy.path(self._question, context)
        self._resume(None)

    def _resume(self, result: Any) -> None:
        try:
            step = self._path.throw(result) if isinstance(result, CacheasideError) else self._path.send(result)
        except StopIteration as done:
            self._end(done.value)
        except CacheasideError as error:
            self._end(error)
        else:
            self._do(step)

    def _do(self, step: Any) -> None:
        match step:
            case steps.Wait(ms):
                self._fleet.loop.after(ms, self._resume)
            case steps.Load():
                self._loading = step
                if step.renew is not None:
                    self._fleet.loop.after(RENEW_EVERY_MS, self._renew, step)
                self._fleet.database.load(step, self._loaded)
            case _ if not self._fleet.strategy.is_ours:
                self._fleet.store.send(step, self._resume)
            case steps.Release():  # which no breaker stops
                self._breaker = self._sandbox.breakers.named("")
                self._fleet.store.send(step, self._replied)
            case _:
                try:
                    self._breaker = self._sandbox.breakers.admit("")
                except CacheUnavailable as error:
                    self._resume(error)
                else:
                    self._fleet.store.send(step, self._replied)

    def _replied(self, result: Any) -> None:
        self._breaker.record(failed=isinstance(result, CacheUnavailable))
        self._resume(result)

    def _loaded(self, result: Any) -> None:
        self._loading = None
        self._resume(result)

    def _renew(self, load: steps.Load) -> None:
        if self._loading is load and load.renew is not None:
            self._fleet.store.send(load.renew, lambda _: None)
            self._fleet.loop.after(RENEW_EVERY_MS, self._renew, load)

    def _end(self, outcome: Any) -> None:
        if self._is_answered:
            self._fleet.release(self._sandbox)
        elif self._fleet.options.cpu_ms:
            self._fleet.loop.after(self._fleet.options.cpu_ms, self._answer, outcome)
        else:
            self._answer(outcome)

    def _answer(self, outcome: Any) -> None:
        self._is_answered = True
        self._fleet.on_answer(self._arrived_ms, self._fleet.loop.now_ms - self._arrived_ms, self._result(outcome))
        if isinstance(outcome, Outcome) and outcome.refresh is not None:
            self._path = outcome.refresh.path
            self._resume(None)
        else:
            self._fleet.release(self._sandbox)

    def _result(self, outcome: Any) -> Result:
        if isinstance(outcome, CacheasideError):
            return Result.FAILED
        body = outcome.entry.body if isinstance(outcome, Outcome) else outcome
        return Result.OUTDATED if self._oldest and int(body or 0) < self._oldest else Result.ANSWERED

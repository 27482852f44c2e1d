"""A sandbox between two proxies that inject faults, and the answers to expect from it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NamedTuple

import redis

from bench.fault_proxy import Fault, FaultProxy
from cacheaside.catalogue.policy import Policy
from cacheaside.reading.entry import decode, encode
from tests.component.support.timeouts import production_timeouts_of
from tests.support.problem_document import check_problem

__all__ = ["MISS", "POLICY", "EntryState", "Expected", "InjectedFault", "Sandbox"]

POLICY: Final = Policy(ttl_ms=60_000, stale_ms=60_000, stale_if_error_ms=600_000, wait_ms=100)


class EntryState(Enum):
    """The state of the entry in the cache. The value is the age in ms that the test adds; COLD has no entry."""

    COLD = None
    FRESH = 0
    STALE = POLICY.ttl_ms + 5_000
    LAST_RESORT = POLICY.ttl_ms + POLICY.stale_ms + 5_000


class Expected(NamedTuple):
    """A status, and a pattern for Cache-Status or the type of the problem."""

    status: int
    pattern: str


MISS: Final = Expected(200, r"cacheaside; fwd=miss; stored; ttl=\d+")


class InjectedFault(NamedTuple):
    """A fault, and for latency its seconds in each direction."""

    fault: Fault
    latency_s: float = 0.0

    def apply(self, proxy: FaultProxy, *, after: int = 0) -> None:
        """Begin the fault after so many more requests."""
        proxy.switch(self.fault, latency_s=self.latency_s, after=after)

    def __str__(self) -> str:
        return f"{self.fault.name.lower()} {self.latency_s:g} s" if self.latency_s else self.fault.name.lower()


@dataclass(frozen=True)
class Sandbox:
    """One sandbox whose connections lead through two proxies, and a plain client of the cache."""

    api: Any
    cache: FaultProxy
    database: FaultProxy
    client: redis.Redis

    @property
    def function(self) -> Any:
        """The module of the query function."""
        return self.api.module("QueryFunction")

    def answer(self) -> Any:
        return self.api.get("/queries/numbers")

    @contextmanager
    def production_timeouts(self, server: FaultProxy) -> Iterator[None]:
        """Within the block, use the timeouts of production for this server, and long ones for the other."""
        if server is self.cache:
            with production_timeouts_of("cache"):
                yield
            return
        queries = self.function.catalogue.queries
        original = queries["numbers"]
        queries["numbers"] = original._replace(timeout_ms=50)
        with production_timeouts_of("postgres"):
            yield
        queries["numbers"] = original

    def production_timeouts_in(self, step: str) -> None:
        """Use the timeouts of production for the cache in this step only, which is to meet the fault."""
        cache = self.function.cache
        do = getattr(cache, step)

        def do_in_time(given: Any) -> Any:
            with self.production_timeouts(self.cache):
                return do(given)

        setattr(cache, step, do_in_time)

    def prepare_entry(self, state: EntryState, load_ms: int | None = None) -> None:
        """Fill the cache without a fault, and age the entry. `load_ms` takes the place of how long its load took."""
        self.expect(MISS)
        [key] = self.client.keys("cacheaside:entry:*")
        stored: Any = self.client.get(key)
        entry = decode(stored)
        assert entry is not None
        if state is EntryState.COLD:
            self.client.delete(key)
        else:
            by = state.value
            older = entry._replace(created_ms=entry.created_ms - by, fresh_until_ms=entry.fresh_until_ms - by)
            older = older if load_ms is None else older._replace(load_ms=load_ms)
            self.client.set(key, encode(older), keepttl=True)

    def expect(self, expected: Expected) -> float:
        """Read, and check the answer. Returns the seconds that it took."""
        began = time.perf_counter()
        answer = self.answer()
        took_s = time.perf_counter() - began
        if expected.status == 200:
            assert (answer.status, answer.json) == (200, {"data": {"one": 1}})
            assert re.fullmatch(expected.pattern, answer.cache_status), answer.cache_status
        else:
            assert check_problem(answer, expected.status)["type"] == expected.pattern
            assert answer.headers["retry-after"] == "5"
        return took_s

"""Injects faults at random while a run goes on: faults of the cache and of its network, killed and frozen processes.

Each of the three is a generator that yields how long to wait before its next fault. One loop advances all.
"""

from __future__ import annotations

import math
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Final

from proofs.consistency.cache_faults import CacheFault, CacheUnderTest
from proofs.consistency.cache_network import Faults
from proofs.consistency.supervisor import (
    API_READER,
    API_WRITER,
    INVALIDATE,
    SCHEMA_CHANGER,
    SQL_WRITER,
    Supervisor,
)

__all__ = ["FaultInjector"]

# Yields how many seconds to wait until it goes on. Closing it ends the fault in progress.
FaultSchedule = Generator[float, None, None]

_BETWEEN_PROCESS_FAULTS_S: Final = (0.1, 0.4)
_BETWEEN_NETWORK_FAULTS_S: Final = (0.5, 1.5)
_FROZEN_S: Final = (0.2, 2.0)
_FREEZES: Final = 0.5  # share of the faults of an invalidate process


class FaultInjector:
    """`injected` counts the faults, by name."""

    def __init__(self, cache: CacheUnderTest, supervisor: Supervisor, only: CacheFault | None = None) -> None:
        """`only`: inject no other fault into the cache, and none into its network."""
        self._cache = cache
        self._supervisor = supervisor
        self._only = only
        self.injected: Counter[str] = Counter()

    def run(self, seconds: float, tick: Callable[[float], object]) -> None:
        """Inject faults for `seconds`, then end those in progress. `tick` is called with the seconds that have passed.

        Raises RuntimeError if a process ended by itself.
        """
        began = time.monotonic()
        of_cache = self._drawn("cache", self._cache.faults, self._cache.between_faults_s)
        of_network = self._drawn("network", self._cache.network.faults, _BETWEEN_NETWORK_FAULTS_S)
        schedules = dict.fromkeys((of_cache, of_network, self._process_faults()), began)
        try:
            while (now := time.monotonic()) < began + seconds:
                for schedule, due in schedules.items():
                    if due <= now:
                        schedules[schedule] = now + next(schedule, math.inf)
                tick(now - began)
                time.sleep(0.02)
        finally:
            for schedule in schedules:
                schedule.close()
        self._supervisor.restart()

    def _drawn(self, of: str, faults: Faults, between_s: tuple[float, float]) -> FaultSchedule:
        names = [fault for fault in faults if self._only in (None, fault)]
        weights = [faults[fault][0] for fault in names]
        once = random.sample(names, len(names))  # each once before the random ones, so that a short run has all
        while names:
            yield random.uniform(*between_s)
            fault = once.pop() if once else random.choices(names, weights)[0]
            yield from faults[fault][1]()
            self.injected[f"{of} {fault.value}"] += 1

    def _process_faults(self) -> FaultSchedule:
        while True:
            yield random.uniform(*_BETWEEN_PROCESS_FAULTS_S)
            self._supervisor.restart()
            role, process = self._supervisor.choose(API_READER, API_WRITER, SQL_WRITER, SCHEMA_CHANGER, INVALIDATE)
            if role == INVALIDATE and random.random() < _FREEZES:
                yield from self._freeze(process)
                self.injected[f"{role} frozen and thawed"] += 1
            else:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
                self.injected[f"{role} killed"] += 1

    def _freeze(self, process: int) -> FaultSchedule:
        with suppress(ProcessLookupError):  # it ended by itself, which is a fault already
            os.kill(process, signal.SIGSTOP)
        try:
            yield random.uniform(*_FROZEN_S)
        finally:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)

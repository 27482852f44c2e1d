"""One simulated world: readers, the fleet, the cache and the database, on one clock and one random source."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import accumulate
from random import Random
from typing import Final

from cacheaside.reading.question import Question
from proofs.simulator.database import Database
from proofs.simulator.events import Loop
from proofs.simulator.fleet import Fleet, FleetOptions, Result
from proofs.simulator.store import Store, StoreOptions
from proofs.simulator.strategies import Strategy

__all__ = ["FAILED_MS", "Record", "World", "zipf"]

FAILED_MS: Final = 30_000.0  # a caller of the API waits no longer
_P99: Final = 0.99


def zipf(keys: int) -> list[float]:
    """Return the share of reads of each key: that of rank r is proportional to 1 / r."""
    total = sum(1 / rank for rank in range(1, keys + 1))
    return [1 / rank / total for rank in range(1, keys + 1)]


class Record:
    """The times of all answers by the second in which their requests came. A failure counts as `FAILED_MS`."""

    def __init__(self) -> None:
        self._took_ms: defaultdict[int, list[float]] = defaultdict(list)
        self._results: Counter[tuple[int, Result]] = Counter()

    def note(self, arrived_ms: float, took_ms: float, result: Result) -> None:
        second = int(arrived_ms // 1000)
        self._results[second, result] += 1
        self._took_ms[second].append(FAILED_MS if result is Result.FAILED else took_ms)

    def share(self, result: Result, seconds: Sequence[int]) -> float:
        """Return the share of the requests of these seconds that had this result."""
        return sum(self._results[second, result] for second in seconds) / sum(
            len(self._took_ms[second]) for second in seconds
        )

    def p99_ms(self, seconds: Sequence[int]) -> float:
        """Return the time within which 99 % of the requests of these seconds were answered."""
        took_ms = sorted(each for second in seconds for each in self._took_ms[second])
        return took_ms[int(len(took_ms) * _P99)]


class World:
    """`seed` decides everything that is random: the same seed gives the same world."""

    def __init__(
        self,
        strategy: Strategy,
        seed: int,
        *,
        work_ms: float,
        cores: float = math.inf,
        store: StoreOptions | None = None,
        fleet: FleetOptions | None = None,
    ) -> None:
        self.loop, self.random, self.record = Loop(), Random(seed), Record()
        self.store = Store(self.loop, store or StoreOptions())
        self.database = Database(self.loop, work_ms, cores)
        options = fleet or FleetOptions()
        self.fleet = Fleet(self.loop, self.store, self.database, self.random, strategy, options, self.record.note)
        self.questions: Sequence[Question] = ()

    def read(
        self,
        shares: Sequence[float],
        reads_per_s: float,
        until_ms: float = math.inf,
        hits_until_ms: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """From now until then, let readers come as a Poisson process, and ask each of `questions` with its share.

        No reader comes before the time that `hits_until_ms` returns, because it would do nothing but hit.
        """
        cumulated = list(accumulate(shares))
        numbers = range(len(shares))

        def arrive(_: object) -> None:
            number = self.random.choices(numbers, cum_weights=cumulated)[0] if len(numbers) > 1 else 0
            self.fleet.ask(self.questions[number])
            plan()

        def plan() -> None:
            at_ms = max(self.loop.now_ms, hits_until_ms()) + self.random.expovariate(reads_per_s) * 1000
            if at_ms < until_ms:
                self.loop.at(at_ms, arrive)

        plan()

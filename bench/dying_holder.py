"""A process that dies during its load, and so leaves its lease to the cache."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Mapping
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Final

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.reading.question import Question
from cacheaside.reading.reader import Reader
from cacheaside.settings import Settings

__all__ = ["DyingHolder"]

_spawn: Final = multiprocessing.get_context("spawn")  # this process has threads, which a fork would not have


class DyingHolder:
    """Reads in a process of its own, which is killed `after_s` seconds after its load has begun."""

    def __init__(
        self, environment: Mapping[str, str], catalogue: Path, query: str, values: Mapping[str, int], after_s: float
    ) -> None:
        self._loading = _spawn.Event()
        arguments = (dict(environment), catalogue, query, dict(values), after_s, self._loading)
        self._process = _spawn.Process(target=_read_and_die, args=arguments, daemon=True)
        self._process.start()

    def await_load(self) -> None:
        """Return when the holder has its lease and begins to load."""
        if not self._loading.wait(60):
            raise TimeoutError("the holder of the lease does not load")

    def await_death(self) -> None:
        """Return when the process has ended. Raises RuntimeError if it was not killed."""
        self._process.join()
        if self._process.exitcode != -signal.SIGALRM:
            raise RuntimeError(f"the holder of the lease ended with {self._process.exitcode}, before it was killed")


class _DyingQueries:
    """Loads, and starts the timer first. A process that does not handle SIGALRM ends as with SIGKILL."""

    def __init__(self, queries: Queries, after_s: float, loading: Event) -> None:
        self._queries, self._after_s, self._loading = queries, after_s, loading

    def load(self, *given: Any, **named: Any) -> Any:
        self._loading.set()
        signal.setitimer(signal.ITIMER_REAL, self._after_s)
        return self._queries.load(*given, **named)


def _read_and_die(
    environment: dict[str, str], folder: Path, name: str, values: dict[str, int], after_s: float, loading: Event
) -> None:
    settings = Settings.from_environment(environment)
    cache, queries = Cache(settings.cache), Queries(settings.database)
    cache.ping()
    queries.ping()  # opens the connection, so that the timer runs during the load alone
    question = Question(Catalogue.load(folder).query(name), {**values})
    Reader(cache, _DyingQueries(queries, after_s, loading)).read(question, lambda: 29_000)

"""A shop whose cached answers the verifier compares, and a database that runs code before each load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import random
from typing import Any

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.parameters import bind_text
from cacheaside.clock import epoch_ms
from cacheaside.drivers.cache.verified import VerifiedCache
from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.invalidation.drain import Drainer
from cacheaside.invalidation.verification import Verification
from cacheaside.invalidation.verifier import Verifier
from cacheaside.reading import steps
from cacheaside.reading.question import Question
from cacheaside.reading.reader import Reader

__all__ = ["CHEAP", "GIFT", "InterruptedDatabase", "Shop"]

GIFT = """\
-- summary = "One gift"
-- ttl     = "60s"
-- stale   = "10m"
-- returns = "one"
-- tags    = ["gifts:{id}"]
-- params.id = { type = "integer" }
select id, price from gifts where id = %(id)s
"""
CHEAP = """\
-- summary = "Gifts of at most a price, by some names"
-- ttl     = "60s"
-- tags    = ["gifts"]
-- params.price = { type = "number", default = 9.99 }
-- params.names = { type = "text[]", required = false }
select id, price, %(names)s::text[] as names from gifts where price <= %(price)s order by id
"""


class Shop:
    """A watched table of gifts, queries about it, and a cache."""

    def __init__(
        self, folder: Path, cache: VerifiedCache, database: Queries, outbox: Outbox, sql: Callable[..., Any]
    ) -> None:
        self.folder = folder
        self.cache = cache
        self.database: Any = database
        self.outbox = outbox
        self.sql = sql
        self.slept: list[float] = []
        self.sleep: Callable[[float], object] = lambda _: None
        self.now_ms: Callable[[], int] = epoch_ms
        self.chance: Callable[[], float] = random
        self.ahead_ms = 0  # of the verifier's clock

    def write_queries(self, **queries: str) -> None:
        for name, text in queries.items():
            path = self.folder / "queries" / f"{name}.sql"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue.load(self.folder)

    def ask(self, name: str, ago_ms: int = 0, tick_ms: int = 0, **values: list[str]) -> str:
        """Read an answer `ago_ms` earlier, by a clock that advances `tick_ms` at each look. Returns the entry's key."""
        query = self.catalogue.query(name)
        question = Question(query, bind_text(query.parameters, values))
        clock, elapsed = count(epoch_ms() - ago_ms, tick_ms), count(0, tick_ms)
        Reader(self.cache, self.database, lambda: next(clock), lambda: next(elapsed)).read(question, lambda: 29_000)
        return question.keys.entry

    def drain(self) -> float:
        return Drainer(self.outbox, self.cache).drain_and_report_age()

    def verifier(self) -> Verifier:
        def sleep(seconds: float) -> None:
            self.slept.append(seconds)
            self.sleep(seconds)

        def now_ms() -> int:
            return self.now_ms() + self.ahead_ms

        return Verifier(self.cache, self.database, self.catalogue, self.drain, now_ms, sleep, self.chance, now_ms)

    def verify(self) -> Verification:
        return self.verifier().verify()


@dataclass
class InterruptedDatabase:
    """A database that calls `before` ahead of each load, and notes the query strings."""

    database: Any
    before: Callable[[], object] = lambda: None
    asked: list[str] = field(default_factory=list)

    def load(self, step: steps.Load) -> steps.Loaded:
        self.before()
        self.asked.append(step.question.query_string)
        loaded: steps.Loaded = self.database.load(step)
        return loaded

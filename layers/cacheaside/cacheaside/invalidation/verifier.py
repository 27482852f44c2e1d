"""The verifier: compares some entries of the cache with the database, to find writes that invalidated nothing.

An entry that differs from the database is not stale yet: the write may still be in the outbox. The entry is stale if it
can be served after everything written before was invalidated. Then a table is not watched, or a tag is missing.

    sample ── drain ── look ── load ─┬─ equal ─────────────────────────────────► right
                        │            └─ differs ── drain ── look ─┬─ invalid ──► the write was in the outbox
                        └─ invalid: no reader gets the entry      └─ servable ─► STALE

Why this is right: a write that the load saw was committed before, together with its outbox rows. The drain after the
load invalidates their tags before the second look. An entry without the write has tag versions from before it, and an
invalidated version never comes back. So if the write was recorded, and the entry has its tag, the second look finds the
entry invalid. A drain skips rows that another drainer has locked. So it reports the age of the oldest pending row. If
that row was written before the load ended, drain and look are repeated, for 3 s. After that the verifier reports
nothing about the entry. A later sample may.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol
from urllib.parse import parse_qs

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.parameters import bind_text
from cacheaside.clock import epoch_ms
from cacheaside.errors import BadParameters, CacheUnavailable, DatabaseError
from cacheaside.reading import steps
from cacheaside.reading.entry import Entry, decode, entity_tag
from cacheaside.reading.keys import query_name
from cacheaside.reading.question import Question
from cacheaside.reading.steps import Loader

__all__ = ["StaleAnswer", "Verification", "Verifier"]

# Verifying must not make the database slow.
_LOAD_AT_MOST_MS: Final = 2_000
_LOADS_AT_MOST_MS: Final = 5_000

# The pauses before the drains that follow the loads.
_PAUSES_S: Final = (0.0, 0.5, 1.0, 1.5)

_log = logging.getLogger(__name__)


class EntrySampler(Protocol):
    """The cache. Both methods raise CacheUnavailable. See `cacheaside.drivers.cache.cache.Cache`."""

    def sample(self, at_most: int) -> list[tuple[str, bytes]]: ...
    def look(self, step: steps.Look) -> steps.Looked: ...


@dataclass(frozen=True, slots=True)
class StaleAnswer:
    """An answer that the cache can serve, although the database has another one. `age_s`: since it was loaded.

    `query_string` holds values that a caller sent, so it must not be logged.
    """

    query: str
    key: str
    query_string: str = field(repr=False)
    age_s: float


@dataclass(frozen=True, slots=True)
class Verification:
    """How many entries were compared with the database, and the stale ones among them."""

    checked: int
    stale: tuple[StaleAnswer, ...] = ()


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An entry that can be compared: its bytes, the same decoded, and the question that it answers."""

    data: bytes
    entry: Entry
    question: Question


class Verifier:
    """Compares a few entries with each call. Each call takes other entries."""

    def __init__(
        self,
        cache: EntrySampler,
        database: Loader,
        catalogue: Catalogue,
        drain: Callable[[], float],
        now_ms: Callable[[], int] = epoch_ms,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`drain`: see `Drainer.drain_and_report_age`. `database` must load from the primary, not from a replica."""
        self._cache = cache
        self._database = database
        self._catalogue = catalogue
        self._drain = drain
        self._now_ms = now_ms
        self._sleep = sleep

    def verify(self, at_most: int = 5) -> Verification:
        """Compare up to `at_most` entries. If a server fails, return the result so far, and raise nothing."""
        checked = 0
        differing: list[_Candidate] = []
        with suppress(CacheUnavailable, DatabaseError):
            for candidate, body in self._load_servable(self._candidates(at_most)):
                checked += 1
                if entity_tag(body) != candidate.entry.etag:
                    differing.append(candidate)
        stale = tuple(self._answer(candidate) for candidate in self._stale(differing))
        for answer in stale:
            _log.error("stale answer of %s, %.0f s old: %s", answer.query, answer.age_s, answer.key)
        return Verification(checked, stale)

    def _candidates(self, at_most: int) -> list[_Candidate]:
        found = (self._candidate(key, data) for key, data in self._cache.sample(at_most))
        return [candidate for candidate in found if candidate is not None]

    def _candidate(self, key: str, data: bytes) -> _Candidate | None:
        """Return the candidate, or None if the entry is foreign, has no tags, loads slowly or must not be verified."""
        query, entry = self._catalogue.queries.get(query_name(key)), decode(data)
        if query is None or entry is None:
            return None
        if not query.tags or not query.verify or entry.load_ms > _LOAD_AT_MOST_MS:
            return None
        try:
            question = Question(
                query, bind_text(query.parameters, parse_qs(entry.query_string, keep_blank_values=True))
            )
        except BadParameters:  # the declared parameters have changed, and the SQL has not
            return None
        is_servable = question.keys.entry == key and question.accepts(entry, self._now_ms())
        return _Candidate(data, entry, question) if is_servable else None

    def _load_servable(self, candidates: Sequence[_Candidate]) -> Iterator[tuple[_Candidate, bytes | None]]:
        """Load the answer of each candidate that can be served, until the loads together have taken too long."""
        left_ms = _LOADS_AT_MOST_MS
        if candidates:
            self._drain()
        for candidate in candidates:
            if left_ms > 0 and self._is_servable(candidate):
                began_ms = self._now_ms()
                query = candidate.question.query
                loaded = self._database.load(steps.Load(candidate.question, min(query.timeout_ms, left_ms)))
                left_ms -= self._now_ms() - began_ms
                yield candidate, loaded.body

    def _stale(self, differing: list[_Candidate]) -> list[_Candidate]:
        """Return those that can still be served when everything written before the comparison is invalidated."""
        compared_ms = self._now_ms()
        with suppress(CacheUnavailable, DatabaseError):
            for pause_s in _PAUSES_S if differing else ():
                self._sleep(pause_s)
                since_s = (self._now_ms() - compared_ms) / 1000
                all_invalidated = self._drain() <= since_s
                differing = [candidate for candidate in differing if self._is_servable(candidate)]
                if all_invalidated or not differing:
                    return differing
        return []

    def _is_servable(self, candidate: _Candidate) -> bool:
        """Return whether the same entry is still in the cache, and none of its tags was invalidated."""
        looked = self._cache.look(steps.Look(candidate.question.keys))
        return looked.entry == candidate.data and looked.tags == candidate.entry.tag_versions

    def _answer(self, stale: _Candidate) -> StaleAnswer:
        keys, age_ms = stale.question.keys, stale.entry.age_ms(self._now_ms())
        return StaleAnswer(stale.question.query.name, keys.entry, stale.question.query_string, age_ms / 1000)

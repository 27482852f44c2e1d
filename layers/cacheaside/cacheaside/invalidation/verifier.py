"""The verifier: asks the database again what some entries of the cache say, in case a write has escaped us.

An entry that differs from the database is not yet stale: the write may be on its way. One that may still be served
after all that had been written was taken out, is; then a table is not watched, or a tag is missing.

    sample ── drain ── look ── load ─┬─ equal ─────────────────────────────► right
                        │            └─ differs ── drain ── look ─┬─ gone ─► it was on its way
                        └─ gone: nobody is answered with it       └─ here ─► STALE

Why that is so: a write that the load saw had committed before, and its rows in the outbox with it. The drain after the
load takes out their tags before the second look. An entry that lacks the write has tag versions from before it, and a
version that was taken out never comes back: so if the write was recorded, and the entry has its tag, the second look
finds the entry gone. A drain leaves alone what another drainer has in hand. So it tells how old the oldest pending row
is: if that was written before the load had ended, drain and look come again, for 3 s. Then nothing is said; a later
sample may say it.
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

# Verifying must not be what makes the database slow.
_LOAD_AT_MOST_MS: Final = 2_000
_LOADS_AT_MOST_MS: Final = 5_000

# Before each drain after the loads.
_PAUSES_S: Final = (0.0, 0.5, 1.0, 1.5)

_log = logging.getLogger(__name__)


class EntrySampler(Protocol):
    """The cache side: both raise CacheUnavailable. See `cacheaside.drivers.cache.cache.Cache`."""

    def sample(self, at_most: int) -> list[tuple[str, bytes]]: ...
    def look(self, step: steps.Look) -> steps.Looked: ...


@dataclass(frozen=True, slots=True)
class StaleAnswer:
    """An answer that may be served, though the database has had another one for a while. `age_s`: since it was made.

    `query_string` holds values that a caller sent, so it must not be logged.
    """

    query: str
    key: str
    query_string: str = field(repr=False)
    age_s: float


@dataclass(frozen=True, slots=True)
class Verification:
    """How many entries were compared with the database, and those among them that are stale."""

    checked: int
    stale: tuple[StaleAnswer, ...] = ()


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An entry that can be compared: its bytes, what they say, and the query to ask."""

    data: bytes
    entry: Entry
    question: Question


class Verifier:
    """Compares a few entries with each call, others each time."""

    def __init__(
        self,
        cache: EntrySampler,
        database: Loader,
        catalogue: Catalogue,
        settle: Callable[[], float],
        now_ms: Callable[[], int] = epoch_ms,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`settle`: see `Drainer.settle`. `database` asks the one that is written to, not a replica."""
        self._cache = cache
        self._database = database
        self._catalogue = catalogue
        self._settle = settle
        self._now_ms = now_ms
        self._sleep = sleep

    def verify(self, at_most: int = 5) -> Verification:
        """Compare up to `at_most` entries. Never raises for a server that fails, but returns what it has come to."""
        checked = 0
        differing: list[_Candidate] = []
        with suppress(CacheUnavailable, DatabaseError):
            for candidate, body in self._loaded(self._candidates(at_most)):
                checked += 1
                if entity_tag(body) != candidate.entry.etag:
                    differing.append(candidate)
        stale = tuple(self._answer(candidate) for candidate in self._still_served(differing))
        for answer in stale:
            _log.error("stale answer of %s, %.0f s old: %s", answer.query, answer.age_s, answer.key)
        return Verification(checked, stale)

    def _candidates(self, at_most: int) -> list[_Candidate]:
        found = (self._candidate(key, data) for key, data in self._cache.sample(at_most))
        return [candidate for candidate in found if candidate is not None]

    def _candidate(self, key: str, data: bytes) -> _Candidate | None:
        """Return what is to be compared, or None: of another deployment, without tags, slow, or not to be verified."""
        query, entry = self._catalogue.queries.get(query_name(key)), decode(data)
        if query is None or entry is None:
            return None
        if not query.tags or not query.verify or entry.load_ms > _LOAD_AT_MOST_MS:
            return None
        try:
            question = Question(
                query, bind_text(query.parameters, parse_qs(entry.query_string, keep_blank_values=True))
            )
        except BadParameters:  # they have changed, and the SQL has not
            return None
        return _Candidate(data, entry, question) if question.keys.entry == key else None

    def _loaded(self, candidates: Sequence[_Candidate]) -> Iterator[tuple[_Candidate, bytes | None]]:
        """Give what the database has for each candidate that may be served, until that has taken long enough."""
        left_ms = _LOADS_AT_MOST_MS
        if candidates:
            self._settle()
        for candidate in candidates:
            if left_ms > 0 and self._may_be_served(candidate):
                began_ms = self._now_ms()
                query = candidate.question.query
                loaded = self._database.load(steps.Load(candidate.question, min(query.timeout_ms, left_ms)))
                left_ms -= self._now_ms() - began_ms
                yield candidate, loaded.body

    def _still_served(self, differing: list[_Candidate]) -> list[_Candidate]:
        """Return which may be served even now that everything written before they were compared is taken out."""
        compared_ms = self._now_ms()
        with suppress(CacheUnavailable, DatabaseError):
            for pause_s in _PAUSES_S if differing else ():
                self._sleep(pause_s)
                since_s = (self._now_ms() - compared_ms) / 1000
                all_taken_out = self._settle() <= since_s
                differing = [candidate for candidate in differing if self._may_be_served(candidate)]
                if all_taken_out or not differing:
                    return differing
        return []

    def _may_be_served(self, candidate: _Candidate) -> bool:
        """Return whether the very same entry is still there, and no tag of it has been taken out."""
        looked = self._cache.look(steps.Look(candidate.question.keys))
        return looked.entry == candidate.data and looked.tags == candidate.entry.tag_versions

    def _answer(self, stale: _Candidate) -> StaleAnswer:
        keys, age_ms = stale.question.keys, stale.entry.age_ms(self._now_ms())
        return StaleAnswer(stale.question.query.name, keys.entry, stale.question.query_string, age_ms / 1000)

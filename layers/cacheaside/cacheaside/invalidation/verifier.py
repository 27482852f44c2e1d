"""The verifier: compares entries that are being read with the database, to find writes that invalidated nothing.

An entry that differs from the database is not stale yet: the write may still be in the outbox. The entry is stale if it
can be served after everything written before was invalidated. Then a table is not watched, or a tag is missing.

    read lately ── drain ── tags ── load ─┬─ equal ───────────────────────────────► right
                             │            └─ differs ── drain ── look ─┬─ invalid ──► the write was in the outbox
                             └─ invalid: no reader gets the entry      └─ servable ─► STALE

Why this is right: a write that the load saw was committed before, together with its outbox rows. The drain after the
load invalidates their tags before the second look. An entry without the write has tag versions from before it, and an
invalidated version never comes back. So if the write was recorded, and the entry has its tag, the second look finds the
entry invalid. A drain skips rows that another drainer has locked. So it reports the age of the oldest pending row. If
that row was written before the load ended, drain and look are repeated, for 3 s. After that the verifier reports
nothing about the entry. A later verification may.

An entry that nobody reads harms nobody, so only those read in the last 90 s are compared. That is longer than the pause
between two verifications: an answer that was served is compared within a minute. This holds for up to 200 entries, if
their loads take 5 s together, and if all keys of the cache can be scanned in 3 s. If not, `Unverified` is above 0.
Beyond that it is left to chance which entries are compared, but each query has one before any has a second: a table
that is not watched makes all answers of a query stale.
"""

from __future__ import annotations

import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import chain, zip_longest
from typing import Final, Protocol
from urllib.parse import parse_qs

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.parameters import bind_text
from cacheaside.catalogue.policy import Freshness
from cacheaside.clock import epoch_ms, monotonic_ms
from cacheaside.errors import BadParameters, CacheUnavailable, DatabaseError, DatabaseUnavailable
from cacheaside.invalidation.verification import StaleAnswer, Verification, loggable
from cacheaside.reading import steps
from cacheaside.reading.entry import Entry, decode, entity_tag
from cacheaside.reading.keys import query_name
from cacheaside.reading.question import Question
from cacheaside.reading.steps import Loader

__all__ = ["Verifier"]

_READ_WITHIN_S: Final = 90

# Verifying must not make the database slow: it keeps one connection busy for a twelfth of the time. Reading the entries
# counts too, so that a slow cache does not make a sweep endless.
_ENTRIES_AT_MOST: Final = 200
_LOADS_AT_MOST_MS: Final = 5_000
_LOAD_AT_MOST_MS: Final = 10_000

# The pauses before the drains that follow the loads.
_PAUSES_S: Final = (0.0, 0.5, 1.0, 1.5)

_log = logging.getLogger(__name__)


# The key of an entry that was read lately, and its version.
_Read = tuple[str, int]


class VerifiedEntries(Protocol):
    """The cache. Both methods raise CacheUnavailable. See `cacheaside.drivers.cache.verified.VerifiedCache`."""

    def recently_read(self, within_s: int) -> tuple[Mapping[str, int], bool]: ...
    def values(self, keys: Sequence[str]) -> list[bytes | None]: ...


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An entry that can be compared, without its body, the question that it answers, and until when it is fresh.

    The entry is as it was stored. Code with a longer ttl may have made it: see `Question.accept`.
    """

    entry: Entry
    question: Question
    fresh_until_ms: int


class Verifier:
    """Compares the entries that were read lately with each call.

    Between two calls it keeps what it read of the entries. To read an entry again would make it look as if a caller had
    read it, and then the verifier would compare it for ever.
    """

    def __init__(
        self,
        cache: VerifiedEntries,
        database: Loader,
        catalogue: Catalogue,
        drain: Callable[[], float],
        now_ms: Callable[[], int] = epoch_ms,
        sleep: Callable[[float], object] = time.sleep,
        chance: Callable[[], float] = random.random,
        elapsed_ms: Callable[[], int] = monotonic_ms,
    ) -> None:
        """`drain`: see `Drainer.drain_and_report_age`. `database` must load from the primary, not from a replica."""
        self._cache = cache
        self._database = database
        self._catalogue = catalogue
        self._drain = drain
        self._now_ms = now_ms
        self._sleep = sleep
        self._chance = chance
        self._elapsed_ms = elapsed_ms
        self._known: dict[_Read, _Candidate | None] = {}

    def verify(self) -> Verification:
        """Compare the entries that were read lately. If a server fails, return the result so far, and raise nothing."""
        due: list[_Read] = []
        differing: list[_Candidate] = []
        complete, done, checked = True, 0, 0
        with suppress(CacheUnavailable, DatabaseError):
            recently_read, complete = self._cache.recently_read(_READ_WITHIN_S)
            due = self._due(recently_read)
            for loaded in self._load(due[:_ENTRIES_AT_MOST]):
                done += 1
                if loaded is not None:
                    checked += 1
                    candidate, body = loaded
                    if entity_tag(body) != candidate.entry.etag:
                        differing.append(candidate)
        stale = tuple(self._answer(candidate) for candidate in self._stale(differing))
        for answer in stale:
            _log.error("stale answer of %s", answer, extra=asdict(answer))
        return Verification(checked, len(due) - done + (not complete), stale)

    def _due(self, recently_read: Mapping[str, int]) -> list[_Read]:
        """Return the entries to compare, in random order, but one of each query in each round."""
        by_query: defaultdict[str, list[_Read]] = defaultdict(list)
        for key, version in sorted(recently_read.items(), key=lambda _: self._chance()):
            query = self._catalogue.queries.get(query_name(key))
            if query is not None and query.tags and query.verify:
                by_query[query.name].append((key, version))
        return [entry for entry in chain.from_iterable(zip_longest(*by_query.values())) if entry is not None]

    def _load(self, due: Sequence[_Read]) -> Iterator[tuple[_Candidate, bytes | None] | None]:
        """Yield each candidate with its answer from the database, and None for an entry that no reader gets.

        Entries whose loads fail or take too long are left out, and all entries after 5 s.
        """
        known, self._known = self._known, {}
        if due:
            self._drain()
        ends_ms = self._elapsed_ms() + _LOADS_AT_MOST_MS
        for read in due:
            left_ms = ends_ms - self._elapsed_ms()
            if left_ms <= 0:
                return
            candidate = self._known[read] = known[read] if read in known else self._candidate(read[0])
            if candidate is None or not self._is_given(candidate):
                yield None
            elif self._is_affordable(candidate, left_ms):
                try:
                    body = self._database.load(_load_of(candidate)).body
                except DatabaseUnavailable:
                    raise
                except DatabaseError:  # the query alone fails
                    continue
                yield candidate, body

    def _candidate(self, key: str) -> _Candidate | None:
        """Read an entry. Returns None if it is foreign, or answers no question of this catalogue."""
        [data] = self._cache.values([key])
        entry = decode(data) if data is not None else None
        if entry is None:
            return None
        query = self._catalogue.queries[query_name(key)]
        try:
            values = bind_text(query.parameters, parse_qs(entry.query_string, keep_blank_values=True), None)
        except BadParameters:  # the declared parameters have changed, and the SQL has not
            return None
        question = Question(query, values)
        accepted = question.accept(entry, self._now_ms())
        if question.keys.entry != key or accepted is None:
            return None
        return _Candidate(entry._replace(body=None), question, accepted.fresh_until_ms)

    def _is_affordable(self, candidate: _Candidate, left_ms: int) -> bool:
        """Return whether to load. A load that takes more than what is left is done in proportion to that."""
        load_ms = candidate.entry.load_ms
        return load_ms <= _LOAD_AT_MOST_MS and self._chance() * load_ms < left_ms

    def _is_given(self, candidate: _Candidate) -> bool:
        """Return whether readers are given the entry: it is young enough, and none of its tags was invalidated."""
        policy = candidate.question.query.policy
        if policy.freshness(candidate.fresh_until_ms, self._now_ms()) is Freshness.GONE:
            return False
        return self._cache.values(candidate.question.keys.tags) == list(candidate.entry.tag_versions)

    def _is_servable(self, candidate: _Candidate) -> bool:
        """Return whether the same entry is still in the cache, and readers are given it."""
        [data] = self._cache.values([candidate.question.keys.entry])
        entry = decode(data) if data is not None else None
        same = entry is not None and entry._replace(body=None) == candidate.entry
        return same and self._is_given(candidate)

    def _stale(self, differing: list[_Candidate]) -> list[_Candidate]:
        """Return those that can still be served when everything written before the comparison is invalidated."""
        compared_ms = self._elapsed_ms()
        with suppress(CacheUnavailable, DatabaseError):
            for pause_s in _PAUSES_S if differing else ():
                self._sleep(pause_s)
                since_s = (self._elapsed_ms() - compared_ms) / 1000
                all_invalidated = self._drain() <= since_s
                differing = [candidate for candidate in differing if self._is_servable(candidate)]
                if all_invalidated or not differing:
                    return differing
        return []

    def _answer(self, stale: _Candidate) -> StaleAnswer:
        question, age_s = stale.question, stale.entry.age_ms(self._now_ms()) / 1000
        return StaleAnswer(question.query.name, loggable(question), question.keys.entry, age_s)


def _load_of(candidate: _Candidate) -> steps.Load:
    return steps.Load(candidate.question, min(candidate.question.query.timeout_ms, _LOAD_AT_MOST_MS))

"""Cached answers as people see them: which question, how old, and whether a caller would get them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from urllib.parse import parse_qs, quote

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.parameters import bind_text
from cacheaside.catalogue.policy import Freshness
from cacheaside.errors import BadParameters
from cacheaside.reading.entry import Entry, decode, unpack
from cacheaside.reading.keys import query_name
from cacheaside.reading.question import Question
from local.errors import LocalError
from local.live.asked import query_of
from local.live.cache import Found, RunningCache, open_cache

__all__ = ["CachedAnswer", "State", "cached_answer", "cached_answers", "last_read"]


class State(Enum):
    """What a request would do with an entry."""

    FRESH = "fresh"  # serve it
    STALE = "stale"  # serve it, and refresh it
    LAST_RESORT = "on error"  # serve it if the load fails
    INVALIDATED = "invalidated"  # load: a tag has moved
    GONE = "expired"  # load
    UNREADABLE = "unreadable"  # load: no entry, or one of other code or of another catalogue


_OF_AGE = {
    Freshness.FRESH: State.FRESH,
    Freshness.STALE: State.STALE,
    Freshness.LAST_RESORT: State.LAST_RESORT,
    Freshness.GONE: State.GONE,
}


@dataclass(frozen=True)
class CachedAnswer:
    """One entry. `entry` and `question` are None where it cannot be read, or asks nothing of this catalogue."""

    found: Found
    state: State
    at_ms: int
    entry: Entry | None = None
    question: Question | None = None
    tag_versions: tuple[bytes | None, ...] = ()  # the current ones, in the order of the question's tags
    unpacked_bytes: int | None = None  # the size of the answer, None if there is none

    @property
    def query(self) -> str:
        return query_name(self.found.key)

    @property
    def age_ms(self) -> int | None:
        return self.entry.age_ms(self.at_ms) if self.entry else None

    @property
    def body(self) -> bytes | None:
        """The answer as it is sent, None for "no such row" or an unreadable entry."""
        return _body(self.entry)

    @property
    def left_ms(self) -> int:
        """How long its state lasts, 0 if a request would load."""
        if self.entry is None or self.question is None:
            return 0
        policy, fresh_ms = self.question.query.policy, self.entry.ttl_ms(self.at_ms)
        match self.state:
            case State.FRESH:
                return fresh_ms
            case State.STALE:
                return fresh_ms + policy.stale_ms
            case State.LAST_RESORT:
                return fresh_ms + policy.stale_if_error_ms
        return 0


def cached_answers(cache: RunningCache, catalogue: Catalogue, query: str | None, now_ms: int) -> Iterator[CachedAnswer]:
    """Yield the cached answers without their bodies, of one query or of all.

    `cache.complete` tells afterwards whether these are all.
    """
    for found in cache.entries(query):
        answer = cached_answer(cache, catalogue, found, now_ms)
        yield replace(answer, found=found._replace(value=b""), entry=answer.entry and answer.entry._replace(body=None))


def cached_answer(cache: RunningCache, catalogue: Catalogue, found: Found, now_ms: int) -> CachedAnswer:
    """Return what `found` is to a request of now."""
    entry = decode(found.value)
    question = _question(catalogue, found.key, entry) if entry else None
    accepted = question.accept(entry, now_ms) if entry and question else None
    if accepted is None or question is None:
        return CachedAnswer(found, State.UNREADABLE, now_ms, entry, unpacked_bytes=_unpacked_bytes(entry))
    versions = tuple(cache.values(question.keys.tags))
    state = _OF_AGE[question.query.policy.freshness(accepted.fresh_until_ms, now_ms)]
    if versions != accepted.tag_versions:
        state = State.INVALIDATED
    return CachedAnswer(found, state, now_ms, accepted, question, versions, _unpacked_bytes(accepted))


def _body(entry: Entry | None) -> bytes | None:
    return None if entry is None or entry.body is None else unpack(entry.encoding, entry.body)


def _unpacked_bytes(entry: Entry | None) -> int | None:
    body = _body(entry)
    return None if body is None else len(body)


def _question(catalogue: Catalogue, key: str, entry: Entry) -> Question | None:
    query = catalogue.queries.get(query_name(key))
    if query is None:
        return None
    try:
        question = Question(
            query, bind_text(query.parameters, parse_qs(entry.query_string, keep_blank_values=True), None)
        )
    except BadParameters:
        return None
    return question if question.keys.entry == key else None


def last_read(url: str, catalogue: Catalogue, names: Sequence[str], number: int) -> tuple[list[str], bool]:
    """Return the paths of the `number` questions of each query that were read last, of those in the cache at `url`.

    And whether all entries were looked at, which takes up to 5 s for each query.
    Raises CatalogueError or UnknownStatement as `query_of`, or `LocalError` if the server does not tell when keys were
    read, or if only the callers themselves can ask the questions again.
    """
    paths: list[str] = []
    complete = True
    with open_cache(url) as cache:
        for name in names:
            if query_of(catalogue, name).claims:
                raise LocalError(f"query {name} answers each caller differently, and only the caller can ask it again")
            read: list[tuple[int, str]] = []
            for found in cache.entries(name):
                entry = decode(found.value)
                if entry and _question(catalogue, found.key, entry):
                    if found.idle_s is None:
                        raise LocalError("the cache does not tell when answers were read, as with an LFU policy")
                    read.append((found.idle_s, f"/queries/{quote(name)}?{entry.query_string}"))
            complete = complete and cache.complete
            paths += [path.removesuffix("?") for _, path in sorted(read)[:number]]
    return paths, complete

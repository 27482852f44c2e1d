"""Metrics of reads: the source of each answer or its error, and the time of each part, by query."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cacheaside.errors import CacheasideError, DatabaseError, Overloaded, Unprocessable, WaitedTooLong
from cacheaside.reading.outcome import NO_ROOM, Refresh, Source
from cacheaside.reading.question import Question
from cacheaside.reading.reader import Answer, Reader
from cacheaside.runtime.embedded_metrics import EmbeddedMetrics

__all__ = ["ReadMetrics"]

# Each answer has a CacheTime, and each that waited for a load of its own has a DatabaseTime. So their numbers of values
# give the hit ratio. Plain hits, which are most of the answers, have no metric of their own: they are all but these.
_COUNTED: Final = {
    Source.STALE: "Stale",
    Source.COLLAPSED: "Collapsed",
    Source.MISS: "Miss",
    Source.EXPIRED: "Miss",
    Source.STALE_IF_ERROR: "StaleIfError",
    Source.BYPASS: "Bypass",
}

# A shorter pause of a breaker is no outage: a few late replies suffice for it.
_OUTAGE_MS: Final = 500


class ReadMetrics:
    """Answers through a reader, and counts."""

    def __init__(self) -> None:
        self._metrics = EmbeddedMetrics({"CacheTime": "Milliseconds", "DatabaseTime": "Milliseconds"})

    def read(self, reader: Reader, question: Question, time_left_ms: Callable[[], int]) -> Answer:
        """Return the answer to `question`. An error is written at once."""
        try:
            answer = reader.read(question, time_left_ms)
        except Unprocessable:  # by a value of the caller
            self._write_at_once("Unprocessable", query=question.query.name)
            raise
        except (DatabaseError, WaitedTooLong) as error:
            also = ["Overloaded"] if isinstance(error, Overloaded) else []
            self._write_at_once("Error", *also, query=question.query.name)
            raise
        source = answer.outcome.source
        # A hundredth of a millisecond is exact enough, and each digit is logged.
        values: dict[str, float] = {"CacheTime": round(answer.cache_ms, 2)}
        if source in _COUNTED:
            values[_COUNTED[source]] = 1
        if answer.outcome.detail == NO_ROOM:
            values["NewKeysRefused"] = 1
        if answer.database_ms is not None:
            values["DatabaseTime"] = round(answer.database_ms, 2)
        self._metrics.add(values, question.query.name)
        return answer

    def read_direct(self, reader: Reader, question: Question, time_left_ms: Callable[[], int]) -> Answer:
        """Return the answer without the cache. Count the request, and nothing else: it says nothing about the cache."""
        self._metrics.add({"Direct": 1}, question.query.name)
        return reader.read_direct(question, time_left_ms)

    def refresh(self, reader: Reader, question: Question, refresh: Refresh, *, inline: bool) -> None:
        """Run a refresh. Count whether its entry was stored, and whether it delayed the response (RefreshInline)."""
        name = question.query.name
        if inline:
            self._metrics.add({"RefreshInline": 1}, name)
        try:
            stored = reader.refresh(refresh)
        except Unprocessable:
            self._write_at_once("Unprocessable", query=name)
        except CacheasideError:
            # The answer was sent already. For a second, no other request tries to refresh it.
            self._write_at_once("RefreshFailed", query=name)
            raise
        else:
            self._metrics.add({"Refreshed" if stored else "RefreshLost": 1}, name)

    def breaker_counter(self, server: str) -> Callable[[int], None]:
        """Return a function that is told of each opening, with its pause in ms: CacheBreakerOpen, DatabaseBreakerOpen.

        While a server does not answer, breakers open again after each probe, for longer each time. So, with traffic, an
        alarm on the sum of CacheBreakerOpen per minute stays on until the server answers. It treats missing data as
        good.
        """

        def count(pause_ms: int) -> None:
            if pause_ms >= _OUTAGE_MS:
                self._write_at_once(f"{server}BreakerOpen")

        return count

    def _write_at_once(self, *names: str, query: str | None = None) -> None:
        self._metrics.add(dict.fromkeys(names, 1), query)
        self._metrics.write()

"""Asks an API many questions, several at a time, so that their answers are in its cache."""

from __future__ import annotations

import http.client
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Event
from typing import Final, NamedTuple

from local.live.http import Response, send
from local.live.target import Target

__all__ = ["Warmed", "ask", "outcome_of", "warm"]

# An API that is overloaded says when to come back. After this many attempts a question counts as failed.
_ATTEMPTS: Final = 5
_WAIT_AT_MOST_S: Final = 30.0

HIT: Final = "hits"
STORED: Final = "misses stored"
NOT_STORED: Final = "answers not stored"


class Warmed(NamedTuple):
    """`answers` by what became of them, `failures` by the title of their problem, each with an example."""

    answers: Counter[str]
    failures: Counter[str]
    examples: dict[str, str]


def warm(
    api: Target,
    paths: Sequence[str],
    concurrency: int,
    progress: Callable[[int, int], object],
    pause: Callable[[float], object] | None = None,
) -> Warmed:
    """Ask each of `paths`, at most `concurrency` at a time. An interrupt gives up those that were not yet asked."""
    warmed = Warmed(Counter(), Counter(), {})
    pool, given_up = ThreadPoolExecutor(concurrency), Event()
    pause = pause or given_up.wait
    try:
        asked = {pool.submit(ask, api, path, pause): path for path in paths}
        for done, future in enumerate(as_completed(asked), 1):
            match future.result():
                case str(outcome):
                    warmed.answers[outcome] += 1
                case title, detail:
                    warmed.failures[title] += 1
                    warmed.examples.setdefault(title, ": ".join(filter(None, [asked[future], detail])))
            progress(done, len(paths))
    finally:
        given_up.set()
        pool.shutdown(cancel_futures=True)
    return warmed


def ask(api: Target, path: str, pause: Callable[[float], object]) -> str | tuple[str, str]:
    """Return what became of the answer, or title and detail of what is wrong.

    Asks again on a 503, after a pause. `pause` returns a true value if there is no point in asking again.
    """
    failure = ("", "")
    for attempt in range(_ATTEMPTS):
        try:
            response = send("GET", f"{api.url}{path}", api.authorize)
        except (OSError, http.client.HTTPException) as error:
            return "no answer", str(error)
        if (outcome := outcome_of(response)) is not None:
            return outcome
        failure = response.problem
        if response.status not in (429, 503) or attempt == _ATTEMPTS - 1 or pause(_retry_after_s(response)):
            break
    return failure


def outcome_of(response: Response) -> str | None:
    """Return what became of the answer, None if there is none. "No such row" is an answer, and is cached."""
    status = response.headers.get("cache-status", "")
    if response.status not in (200, 404) or not status:
        return None
    parameters = {part.strip() for part in status.split(";")[1:]}
    # Another request has loaded and stored what this one waited for.
    return HIT if "hit" in parameters else STORED if parameters & {"stored", "collapsed"} else NOT_STORED


def _retry_after_s(response: Response) -> float:
    given = response.headers.get("retry-after", "")
    return min(float(given), _WAIT_AT_MOST_S) if given.isdecimal() else 1.0

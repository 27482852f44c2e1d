"""Asks an API many questions, several at a time, so that their answers are in its cache."""

from __future__ import annotations

import http.client
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Final, NamedTuple

from local.live.http import Response, send
from local.live.target import Target

__all__ = ["Warmed", "ask", "outcome_of", "warm"]

# An API that is overloaded says when to come back. After this many attempts a question counts as failed.
_ATTEMPTS: Final = 5
_WAIT_AT_MOST_S: Final = 30.0

Outcome = str | tuple[str, str]
"""What became of an answer, or title and detail of what is wrong."""

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
    """Ask each of `paths`, at most `concurrency` at a time. An interrupt waits for nobody, and no more are asked."""
    warmed = Warmed(Counter(), Counter(), {})
    given_up = Event()
    asked: SimpleQueue[tuple[str, Outcome | BaseException]] = SimpleQueue()
    left = SimpleQueue[str]()
    for path in paths:
        left.put(path)

    def work() -> None:
        with suppress(Empty):
            while not given_up.is_set():
                path = left.get_nowait()
                try:
                    asked.put((path, ask(api, path, pause or given_up.wait)))
                except BaseException as error:
                    asked.put((path, error))

    try:
        for _ in range(min(concurrency, len(paths))):
            Thread(target=work, daemon=True).start()  # a thread of a pool would be waited for at the exit
        for done in range(1, len(paths) + 1):
            match asked.get():
                case _, BaseException() as error:
                    raise error
                case _, str(outcome):
                    warmed.answers[outcome] += 1
                case path, (title, detail):
                    warmed.failures[title] += 1
                    warmed.examples.setdefault(title, ": ".join(filter(None, [path, detail])))
            progress(done, len(paths))
    finally:
        given_up.set()
    return warmed


def ask(api: Target, path: str, pause: Callable[[float], object]) -> Outcome:
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

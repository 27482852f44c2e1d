"""Callers of the API over HTTP: all at once, or each at its time whether or not earlier ones have their answers."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from local.servers.processes import HOST

__all__ = ["Answer", "Call", "Callers", "failed_share", "latency_ms"]

_CALLERS: Final = 1000  # as many as the gateway serves at once
_PATIENCE_S: Final = 60.0  # the gateway answers after 30 s


@dataclass(frozen=True, slots=True)
class Call:
    """A read, or with `body` a command, to send `at_s` seconds after the start."""

    path: str
    body: object = None
    at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """`due` is when the call was to be sent, `answered` when it was answered, both by `time.perf_counter`."""

    call: Call
    status: int
    cache_status: str
    due: float
    answered: float

    @property
    def ms(self) -> float:
        return (self.answered - self.due) * 1000


class Callers:
    """Sends calls to the API at `port`, each on a connection of its own. Answers come in the order of the calls."""

    def __init__(self, port: int) -> None:
        self._port = port

    def at_once(self, calls: Iterable[Call]) -> list[Answer]:
        """Return the answers to calls of the same moment."""
        return self.at_times(list(calls), lambda done, total: None)

    def at_times(self, calls: Sequence[Call], progress: Callable[[int, int], None]) -> list[Answer]:
        """Return the answers to calls that are sorted by time. `progress` is told how many are sent, of how many."""
        start = time.perf_counter()
        answers: list[Future[Answer]] = []
        with ThreadPoolExecutor(_CALLERS) as threads:
            for call in calls:
                time.sleep(max(start + call.at_s - time.perf_counter(), 0))
                answers.append(threads.submit(self.ask, call, start + call.at_s))
                progress(len(answers), len(calls))
        return [answer.result() for answer in answers]

    def ask(self, call: Call, due: float | None = None) -> Answer:
        """Return the answer to one call that was due now, or at `due`."""
        due = time.perf_counter() if due is None else due
        with closing(http.client.HTTPConnection(HOST, self._port, timeout=_PATIENCE_S)) as connection:
            if call.body is None:
                connection.request("GET", call.path)
            else:
                connection.request("POST", call.path, json.dumps(call.body), {"content-type": "application/json"})
            response = connection.getresponse()
            response.read()
        cache_status = response.headers.get("cache-status", "")
        return Answer(call, response.status, cache_status, due, time.perf_counter())


def latency_ms(answers: Sequence[Answer], share: float) -> float:
    """Return the milliseconds that at least `share` of the answers did not exceed, of whatever status."""
    return sorted(answer.ms for answer in answers)[max(-int(-share * len(answers) // 1) - 1, 0)]


def failed_share(answers: Sequence[Answer]) -> float:
    """Return the share of 5xx among `answers`."""
    return sum(answer.status >= 500 for answer in answers) / max(len(answers), 1)

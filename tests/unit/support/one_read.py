"""A read that the test drives step by step. The test answers for the servers, so it can write down any interleaving."""

from __future__ import annotations

from collections.abc import Generator
from itertools import count
from typing import Any

from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Query
from cacheaside.reading.fill import ReadContext
from cacheaside.reading.outcome import Outcome
from cacheaside.reading.question import Question
from cacheaside.reading.read_path import read
from cacheaside.reading.steps import Acquired, Loaded, Looked, Step, Store

__all__ = ["NOTHING", "OTHER_VERSION", "POLICY", "START_MS", "VERSION", "Read", "expect", "stored_entry"]

POLICY = Policy(
    ttl_ms=60_000,
    stale_ms=10_000,
    stale_if_error_ms=30_000,
    negative_ttl_ms=5_000,
    wait_ms=5_000,
)
START_MS = 1_000_000
VERSION, OTHER_VERSION = b"v" * 16, b"w" * 16  # of the tag
NOTHING = Looked(None, None, (None,))


class Read:
    """A read in progress. Its clock changes only when the test sets `now_ms`."""

    def __init__(self, at_ms: int = START_MS, *, time_left_ms: int = 29_000, chance: float = 0.0, **rules: Any) -> None:
        self.now_ms = at_ms
        query = Query(
            name="product",
            summary="",
            sql="select 1",
            returns="one",
            timeout_ms=10_000,
            tags=("products",),
            parameters={},
            policy=POLICY._replace(**rules),
        )
        numbers = count(1)
        context = ReadContext(
            now_ms=lambda: self.now_ms,
            elapsed_ms=lambda: self.now_ms,
            token=lambda: next(numbers).to_bytes(16, "big"),
            chance=lambda: chance,
            time_left_ms=lambda: time_left_ms,
        )
        self.question = Question(query, {})
        self.path: Generator[Step, Any, Any] = read(self.question, context)
        self.step: Step = self._checked(next(self.path))

    def answer(self, result: object) -> Any:
        """Send `result` as that of the current step. Returns the next step, or the outcome."""
        try:
            step = self.path.throw(result) if isinstance(result, Exception) else self.path.send(result)
        except StopIteration as done:
            return self._checked(done.value)
        self.step = self._checked(step)
        return self.step

    def _checked(self, step: Any) -> Any:
        """Check what is true of each step and outcome: its keys, a pause in whole milliseconds, an entry of a fill."""
        assert getattr(step, "keys", self.question.keys) == self.question.keys
        assert getattr(step, "question", self.question) is self.question
        assert isinstance(getattr(step, "ms", 0), int)
        assert not isinstance(step, Outcome) or len(step.entry.token) == 16
        return step


def expect(step: object, kind: type[Any]) -> Any:
    assert isinstance(step, kind), step
    return step


def stored_entry() -> bytes:
    """Return the entry that a read stores at START_MS, if the cache has none."""
    cold_read = Read()
    cold_read.answer(NOTHING)
    cold_read.answer(Acquired(won=True, looked=Looked(None, b"", (VERSION,))))
    return bytes(expect(cold_read.answer(Loaded(b"{}")), Store).entry)

"""Whatever error a read meets, wherever: it gives its lease back, and the next read does not wait. On the model."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from cacheaside.catalogue.parameters import Parameter
from cacheaside.catalogue.policy import Freshness
from cacheaside.errors import CacheUnavailable, DatabaseUnavailable
from cacheaside.reading.entry import TOKEN_BYTES
from cacheaside.reading.outcome import Source
from cacheaside.reading.question import Question
from cacheaside.reading.reader import Reader
from cacheaside.reading.steps import Acquire, Load, Look, Release, Step, Store
from proofs.explorer.model import NOW_MS, QUESTION, SharedState, stored_entry
from proofs.explorer.scenarios import UNCHANGED
from tests.support.raising_servers import ALL_STEPS, FOREIGN_ERRORS, RaisingServers

TAG = b"T" * 16
# A read that finds a lease fails at once, so that no test waits.
WAITS_FOR_NONE = QUESTION.query._replace(policy=QUESTION.query.policy._replace(wait_ms=0))
STATES = {
    "cold": SharedState(),
    "stale": SharedState(entry=stored_entry(0, TAG, Freshness.STALE), tag=TAG),
    "invalidated": SharedState(entry=stored_entry(0, TAG, Freshness.FRESH), tag=b"U" * 16),
}

WHEN = pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
ERROR = pytest.mark.parametrize("error", FOREIGN_ERRORS, ids=lambda error: type(error).__name__)
STATE = pytest.mark.parametrize("state", STATES.values(), ids=STATES)


class Model:
    """The explorer's model as a cache and a database."""

    def __init__(self, shared: SharedState, *, database_is_down: bool = False) -> None:
        self.shared = shared
        self.database_is_down = database_is_down

    def _do(self, step: Step) -> Any:
        self.shared, result = self.shared.do(step, UNCHANGED)
        return result

    look = acquire = renew = store = release = _do

    def load(self, step: Load, renew: Any = None) -> Any:
        if self.database_is_down:
            raise DatabaseUnavailable("down")
        return self._do(step)


def read(servers: Any, question: Question) -> Source:
    """Read, and run the refresh if there is one."""
    reader = Reader(servers, servers, lambda: NOW_MS)
    outcome = reader.read(question, lambda: 29_000).outcome
    if outcome.refresh is not None:
        reader.refresh(outcome.refresh)
    return outcome.source


def assert_next_read_finds_no_lease(model: Model, question: Question) -> None:
    assert model.shared.lease is None or len(model.shared.lease) != TOKEN_BYTES
    model.database_is_down, model.shared = False, model.shared._replace(lease=None)  # a failure ends by itself
    read(model, question)
    assert read(model, question) is Source.HIT


@STATE
@WHEN
@ERROR
@pytest.mark.parametrize("at", ALL_STEPS, ids=lambda step: step.__name__)
def test_foreign_error_at_any_step_leaves_no_lease(
    state: SharedState, at: type[Step], error: BaseException, done: bool
) -> None:
    model, question = Model(state, database_is_down=at is Release), Question(WAITS_FOR_NONE, {})
    with suppress(BaseException):
        read(RaisingServers(model, model, at, error, done=done), question)
    assert_next_read_finds_no_lease(model, question)


@STATE
@WHEN
@pytest.mark.parametrize("at", [Look, Acquire, Store], ids=lambda step: step.__name__)
def test_cache_that_fails_once_at_any_step_leaves_no_lease(state: SharedState, at: type[Step], done: bool) -> None:
    model, question = Model(state), Question(WAITS_FOR_NONE, {})
    with suppress(CacheUnavailable):  # of the refresh, whose answer was sent
        read(RaisingServers(model, model, at, CacheUnavailable("no reply"), done=done), question)
    assert_next_read_finds_no_lease(model, question)


def test_waiting_read_that_is_interrupted_does_not_take_the_holders_lease_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cacheaside.reading.reader.time.sleep", interrupt)
    model = Model(SharedState(lease=b"h" * 16))
    with pytest.raises(KeyboardInterrupt):
        read(model, QUESTION)
    assert model.shared.lease == b"h" * 16


@pytest.mark.parametrize("start", ["cold", "invalidated"])
def test_load_that_fails_leaves_no_lease(start: str) -> None:
    model, question = Model(STATES[start], database_is_down=True), Question(WAITS_FOR_NONE, {})
    with pytest.raises(DatabaseUnavailable):
        read(model, question)
    assert_next_read_finds_no_lease(model, question)


@pytest.mark.parametrize("by_ms", [-900_000, 10**11], ids=["back", "far ahead"])
def test_clock_that_is_set_during_a_load_fails_no_read(monkeypatch: pytest.MonkeyPatch, by_ms: int) -> None:
    model, question, times = Model(SharedState()), Question(WAITS_FOR_NONE, {}), [NOW_MS]
    load = model.load
    monkeypatch.setattr(model, "load", lambda step, renew: (times.append(NOW_MS + by_ms), load(step))[1])
    answer = Reader(model, model, lambda: times[-1]).read(question, lambda: 29_000)
    assert answer.outcome.stored


def test_value_that_no_url_can_hold_leaves_no_lease() -> None:
    """The error comes from the code between load and store, and not from a step."""
    query = WAITS_FOR_NONE._replace(parameters={"q": Parameter(name="q", type="text")})
    model = Model(SharedState())
    with pytest.raises(UnicodeEncodeError):
        read(model, Question(query, {"q": "\ud800"}))
    assert model.shared.lease is None

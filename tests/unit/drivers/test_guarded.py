"""What counts as a failure of a server, and what is only a refusal by one that is up."""

from __future__ import annotations

from typing import Any

import pytest

from cacheaside import errors
from cacheaside.drivers.breaker import BreakerState
from cacheaside.drivers.guarded import CACHE, DATABASE, GuardedCache, GuardedQueries

CACHE_CALLS = {
    "look": (None,),
    "acquire": (None,),
    "store": (None,),
    "release": (None,),
}
DATABASE_CALLS: dict[str, tuple[Any, ...]] = {"load": (None,)}


class Driver:
    """Any driver: each method raises `error`, or returns its own name."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def method(*_arguments: object) -> str:
            self.calls.append(name)
            if self.error is not None:
                raise self.error
            return name

        return method


def guarded(kind: Any, driver: Driver) -> tuple[Any, list[BreakerState]]:
    changes: list[BreakerState] = []
    return kind(driver, changes.append, lambda: 0, lambda: 0.0), changes


def call(wrapper: Any, name: str, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(errors.CacheasideError):
            getattr(wrapper, name)(*{**CACHE_CALLS, **DATABASE_CALLS}[name])


ALL = [
    *((GuardedCache, name, errors.CacheUnavailable, CACHE.failures) for name in CACHE_CALLS),
    *((GuardedQueries, name, errors.DatabaseUnavailable, DATABASE.failures) for name in DATABASE_CALLS),
]


@pytest.mark.parametrize(("kind", "name", "error", "failures"), ALL)
def test_each_method_opens_it_and_then_is_not_called_any_more(kind: Any, name: str, error: Any, failures: int) -> None:
    driver = Driver(error("gone"))
    wrapper, changes = guarded(kind, driver)
    call(wrapper, name, failures + 5)
    assert driver.calls == [name] * failures
    assert changes == [BreakerState.OPEN]
    with pytest.raises(error, match="left alone for a while"):
        getattr(wrapper, name)(*{**CACHE_CALLS, **DATABASE_CALLS}[name])


@pytest.mark.parametrize(("kind", "name", "_error", "_failures"), ALL)
def test_each_method_hands_on_what_the_driver_returns(kind: Any, name: str, _error: Any, _failures: int) -> None:
    wrapper, _ = guarded(kind, Driver())
    assert getattr(wrapper, name)(*{**CACHE_CALLS, **DATABASE_CALLS}[name]) == name


@pytest.mark.parametrize(
    "error",
    [
        errors.StatementTimeout,
        errors.ConstraintViolated,
        errors.StatementFailed,
        errors.AnswerTooLarge,
        errors.Overloaded,
    ],
)
def test_refusal_of_postgresql_is_a_sign_of_life(error: Any) -> None:
    driver = Driver(error("no"))
    wrapper, changes = guarded(GuardedQueries, driver)
    call(wrapper, "load", 20)
    driver.error = errors.DatabaseUnavailable("gone")
    call(wrapper, "load", DATABASE.failures - 1)
    driver.error = error("no")
    call(wrapper, "load")
    driver.error = errors.DatabaseUnavailable("gone")
    call(wrapper, "load", DATABASE.failures - 1)
    assert changes == []


@pytest.mark.parametrize(
    ("kind", "name", "error"),
    [(GuardedCache, "look", errors.CacheUnavailable), (GuardedQueries, "load", errors.DatabaseUnavailable)],
)
def test_ping_tells_the_truth_and_leaves_the_breaker_alone(kind: Any, name: str, error: Any) -> None:
    driver = Driver(error("gone"))
    wrapper, changes = guarded(kind, driver)
    for _ in range(10):
        with pytest.raises(error, match="gone"):
            wrapper.ping()
    assert changes == []
    call(wrapper, name, 10)
    driver.error = None
    wrapper.ping()  # does not raise, though the breaker is open
    assert changes == [BreakerState.OPEN]

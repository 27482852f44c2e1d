"""The guarded drivers: which errors open the breaker, and which show that the server answers."""

from __future__ import annotations

from typing import Any

import pytest

from cacheaside import errors
from cacheaside.drivers.breaker import BreakerState
from cacheaside.drivers.guarded import CACHE, DATABASE, GuardedCache, GuardedQueries

CACHE_METHODS = ("look", "acquire", "store", "release")


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
            getattr(wrapper, name)(None)


METHODS = [
    *((GuardedCache, name, errors.CacheUnavailable, CACHE.failures) for name in CACHE_METHODS),
    (GuardedQueries, "load", errors.DatabaseUnavailable, DATABASE.failures),
]


@pytest.mark.parametrize(("kind", "name", "error", "failures"), METHODS)
def test_failures_of_each_method_open_the_breaker_and_stop_the_calls(
    kind: Any, name: str, error: Any, failures: int
) -> None:
    driver = Driver(error("gone"))
    wrapper, changes = guarded(kind, driver)
    call(wrapper, name, failures + 5)
    assert driver.calls == [name] * failures
    assert changes == [BreakerState.OPEN]
    with pytest.raises(error, match="not asked again for a while"):
        getattr(wrapper, name)(None)


@pytest.mark.parametrize(("kind", "name", "_error", "_failures"), METHODS)
def test_each_method_returns_the_result_of_the_driver(kind: Any, name: str, _error: Any, _failures: int) -> None:
    wrapper, _ = guarded(kind, Driver())
    assert getattr(wrapper, name)(None) == name


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
def test_refusal_by_postgresql_is_no_failure_of_the_server(error: Any) -> None:
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


def test_bug_in_a_probe_does_not_keep_the_next_calls_from_a_server_that_answers() -> None:
    """Whatever value of a caller it was: the breaker would refuse every other query for as long as a load may take."""
    driver = Driver(errors.DatabaseUnavailable("gone"))
    times = [0]
    wrapper = GuardedQueries(driver, lambda _: None, lambda: times[-1], lambda: 0.0)
    call(wrapper, "load", DATABASE.failures)
    times.append(DATABASE.pause_ms)
    driver.error = ValueError("a bug")
    with pytest.raises(ValueError, match="a bug"):
        wrapper.load(None)
    driver.error = None
    assert wrapper.load(None) == "load"


@pytest.mark.parametrize(
    ("kind", "name", "error"),
    [(GuardedCache, "look", errors.CacheUnavailable), (GuardedQueries, "load", errors.DatabaseUnavailable)],
)
def test_ping_asks_the_server_and_does_not_change_the_breaker(kind: Any, name: str, error: Any) -> None:
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

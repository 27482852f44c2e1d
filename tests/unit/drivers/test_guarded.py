"""The guarded drivers: which results open which breaker, how long a step may take, and when a probe runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from redis.exceptions import OutOfMemoryError

from cacheaside import errors
from cacheaside.drivers.breakers import PROBE_MS, BreakerOptions
from cacheaside.drivers.cache import deadline
from cacheaside.drivers.guarded import CACHE, DATABASE, GuardedCache, GuardedQueries
from cacheaside.reading.keys import question_keys
from cacheaside.reading.steps import Look

COUNTED = ("look", "acquire", "store")
CACHE_METHODS = (*COUNTED, "renew", "release")


def step(query: str) -> Any:
    return Look(question_keys(query, b"", ()))


class Driver:
    """Any driver: each method raises `error`, or returns its own name. Notes its calls and their limits in ms."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls: list[str] = []
        self.limits: list[tuple[int, int]] = []  # of the call, and of opening connections

    def __getattr__(self, name: str) -> Any:
        def method(*_arguments: object) -> str:
            self.calls.append(name)
            if (call := deadline._current.call) is not None:
                self.limits.append((round(call.limit_s * 1000), round(call._opening_left_s * 1000)))
            if self.error is not None:
                raise self.error
            return name

        return method


class Sandbox:
    """A guarded driver whose clock only the test moves, and whose tasks run when the test says so."""

    def __init__(self, kind: Any, error: Exception | None = None) -> None:
        self.driver = Driver(error)
        self.now_ms = 1_000_000
        self.pauses: list[int] = []
        self.tasks: list[Callable[[], None]] = []
        options = BreakerOptions(
            later=self.tasks.append, on_open=self.pauses.append, now_ms=lambda: self.now_ms, chance=lambda: 0.0
        )
        self.guarded = kind(self.driver, options)

    def call(self, name: str, query: str = "q", times: int = 1) -> None:
        """Call a method, which must fail."""
        for _ in range(times):
            with pytest.raises(errors.CacheasideError):
                getattr(self.guarded, name)(step(query))

    def run_tasks(self) -> int:
        ran = len(self.tasks)
        while self.tasks:
            self.tasks.pop()()
        return ran


METHODS = [
    *((GuardedCache, name, errors.CacheUnavailable, CACHE) for name in COUNTED),
    (GuardedQueries, "load", errors.DatabaseSilent, DATABASE),
]


@pytest.mark.parametrize(("kind", "name", "error", "rules"), METHODS)
def test_two_failures_of_any_method_open_the_breaker_and_stop_the_calls(
    kind: Any, name: str, error: Any, rules: Any
) -> None:
    sandbox = Sandbox(kind, error("gone"))
    sandbox.call(name, times=7)
    assert sandbox.driver.calls == [name] * 2
    assert sandbox.pauses == [rules.pause_ms]
    with pytest.raises(error.__base__ if kind is GuardedQueries else error, match="not asked again for a while"):
        getattr(sandbox.guarded, name)(step("q"))


@pytest.mark.parametrize(("kind", "name", "_error", "_rules"), METHODS)
def test_each_method_returns_the_result_of_the_driver(kind: Any, name: str, _error: Any, _rules: Any) -> None:
    assert getattr(Sandbox(kind).guarded, name)(step("q")) == name


def test_looks_that_succeed_do_not_hide_acquires_that_fail() -> None:
    sandbox = Sandbox(GuardedCache)
    for _ in range(2):
        sandbox.driver.error = None
        sandbox.guarded.look(step("q"))
        sandbox.driver.error = errors.CacheUnavailable("late")
        sandbox.call("acquire")
    assert sandbox.pauses == [CACHE.pause_ms]


@pytest.mark.parametrize(
    "error",
    [
        errors.StatementTimeout,
        errors.ConstraintViolated,
        errors.StatementFailed,
        errors.AnswerTooLarge,
        errors.Overloaded,
        errors.DatabaseUnavailable,
    ],
)
def test_refusal_by_postgresql_opens_nothing(error: Any) -> None:
    sandbox = Sandbox(GuardedQueries, error("no"))
    sandbox.call("load", times=20)
    assert (sandbox.pauses, len(sandbox.driver.calls)) == ([], 20)


def test_last_chance_of_a_read_is_not_stopped_by_a_breaker_nor_by_the_time_of_a_load() -> None:
    sandbox = Sandbox(GuardedCache, errors.CacheUnavailable("late"))
    sandbox.guarded.note_load("q", 10)
    sandbox.call("look", times=2)
    sandbox.driver.error = None
    assert sandbox.guarded.look(Look(question_keys("q", b"", ()), is_last_chance=True)) == "look"
    assert sandbox.driver.limits[-1] == (deadline.CALL_S * 1000, deadline.CALL_S * 1000)


def test_entry_that_is_too_large_opens_nothing_and_is_left_out_for_a_while() -> None:
    sandbox = Sandbox(GuardedCache, errors.EntryTooLarge("1 GB"))
    sandbox.call("look", times=20)
    assert (sandbox.pauses, sandbox.driver.calls) == ([], ["look", "drop_oversized"])
    sandbox.driver.error = None
    assert sandbox.guarded.look(Look(question_keys("q", b"small", ()))) == "look"
    sandbox.now_ms += 10_000
    assert sandbox.guarded.look(step("q")) == "look"


def test_error_that_the_cache_replies_opens_nothing() -> None:
    """A cache without memory refuses each write at once. Its answers are still hits."""
    error = errors.CacheUnavailable("the cache did not answer")
    error.__cause__ = OutOfMemoryError("OOM command not allowed")
    sandbox = Sandbox(GuardedCache, error)
    sandbox.call("acquire", times=20)
    assert sandbox.pauses == []
    sandbox.driver.error = None
    assert sandbox.guarded.look(step("q")) == "look"


def test_refusal_of_the_cache_is_logged_once_in_ten_seconds(caplog: pytest.LogCaptureFixture) -> None:
    error = errors.CacheUnavailable()
    error.__cause__ = OutOfMemoryError("OOM command not allowed")
    sandbox = Sandbox(GuardedCache, error)
    for _ in range(11):
        sandbox.call("store", times=3)
        sandbox.now_ms += 1_000
    assert caplog.messages == ["the cache refuses a command: OOM command not allowed"] * 2


def test_release_gives_back_a_lease_though_the_step_before_it_opened_the_breaker() -> None:
    sandbox = Sandbox(GuardedCache, errors.CacheUnavailable("late"))
    sandbox.call("acquire", times=2)
    assert sandbox.pauses == [CACHE.pause_ms]
    sandbox.driver.error = None
    sandbox.guarded.release(step("q"))
    assert sandbox.driver.calls == ["acquire", "acquire", "release"]


def test_renewals_that_fail_stop_neither_the_next_ones_nor_the_store() -> None:
    sandbox = Sandbox(GuardedCache, errors.CacheUnavailable("late"))
    sandbox.call("renew", times=5)
    sandbox.driver.error = None
    assert (sandbox.guarded.renew(step("q")), sandbox.guarded.store(step("q"))) == ("renew", "store")


def test_slow_cache_is_not_cut_off_while_postgresql_has_no_room_for_loads_of_our_own() -> None:
    sandbox = Sandbox(GuardedCache)
    sandbox.guarded.note_load("q", 50)
    sandbox.guarded.note_overload()
    sandbox.guarded.look(step("q"))
    sandbox.now_ms += 10_000
    sandbox.guarded.look(step("q"))
    assert [limit_ms for limit_ms, _ in sandbox.driver.limits] == [200, 50]


def test_second_probe_finds_nothing_to_do() -> None:
    sandbox = Sandbox(GuardedCache, errors.CacheUnavailable("gone"))
    sandbox.call("look", times=2)
    for _ in range(2):
        sandbox.now_ms += PROBE_MS
        sandbox.call("look")
    sandbox.driver.error = None
    assert sandbox.run_tasks() == 2


def test_each_query_has_a_breaker_of_its_own() -> None:
    sandbox = Sandbox(GuardedCache, errors.CacheUnavailable("late"))
    sandbox.call("look", "fast", times=5)
    sandbox.driver.error = None
    assert sandbox.guarded.look(step("slow")) == "look"
    sandbox.call("look", "fast")


@pytest.mark.parametrize(
    ("loads_ms", "limit_ms"),
    [
        ([], 200),
        ([0], 10),
        ([2], 10),
        ([50], 50),
        ([5_000], 200),
        ([2**32], 200),
        ([30, 30, 300], 30),  # a sandbox that had to connect first
        ([300] * 5 + [30] * 3, 30),
        ([30] * 5 + [300] * 3, 200),
    ],
)
def test_a_step_may_take_as_long_as_a_load_within_bounds(loads_ms: list[int], limit_ms: int) -> None:
    sandbox = Sandbox(GuardedCache)
    sandbox.guarded.note_load("other", 77)
    for load_ms in loads_ms:
        sandbox.guarded.note_load("q", load_ms)
    for name in CACHE_METHODS:
        getattr(sandbox.guarded, name)(step("q"))
    assert [limit for limit, _ in sandbox.driver.limits] == [limit_ms] * len(CACHE_METHODS)
    assert [opening for _, opening in sandbox.driver.limits] == [1_000] * 3 + [limit_ms, 1_000]


def test_after_a_failure_a_step_takes_no_time_for_opening_until_one_succeeds() -> None:
    """If a silent cache accepts no connection, only the first request waits for one for a second, and probes do."""
    sandbox = Sandbox(GuardedCache, errors.CacheUnavailable("gone"))
    for query in "abc":
        sandbox.guarded.note_load(query, 50)
        sandbox.call("look", query)
    assert [opening_ms for _, opening_ms in sandbox.driver.limits] == [1_000, 50, 50]
    sandbox.driver.error = None
    for _ in range(2):
        sandbox.guarded.look(step("b"))
    assert [opening_ms for _, opening_ms in sandbox.driver.limits[3:]] == [50, 1_000]


def test_opening_connections_for_longer_than_the_limit_counts_as_a_failure() -> None:
    sandbox = Sandbox(GuardedCache)

    def look(_: object) -> None:
        call = deadline._current.call
        assert call is not None
        call.opening_took_s = 0.3

    sandbox.driver.look = look
    for _ in range(2):
        sandbox.guarded.look(step("q"))
    assert sandbox.pauses == [CACHE.pause_ms]


PROBED = [
    (GuardedCache, "look", errors.CacheUnavailable, CACHE),
    (GuardedQueries, "load", errors.DatabaseSilent, DATABASE),
]


@pytest.mark.parametrize(("kind", "name", "error", "rules"), PROBED)
def test_request_after_the_pause_is_refused_and_its_probe_lets_the_next_one_through(
    kind: Any, name: str, error: Any, rules: Any
) -> None:
    sandbox = Sandbox(kind, error("gone"))
    sandbox.call(name, times=2)
    sandbox.call(name)
    assert sandbox.tasks == []
    sandbox.now_ms += rules.pause_ms
    sandbox.driver.error = None
    sandbox.call(name, times=5)
    assert sandbox.driver.calls == [name] * 2
    assert sandbox.run_tasks() == 1
    assert getattr(sandbox.guarded, name)(step("q")) == name
    assert sandbox.driver.calls == [name] * 2 + ["ping", name]


@pytest.mark.parametrize(("kind", "name", "error", "rules"), PROBED)
def test_probe_that_fails_begins_a_longer_pause(kind: Any, name: str, error: Any, rules: Any) -> None:
    sandbox = Sandbox(kind, error("gone"))
    sandbox.call(name, times=2)
    sandbox.now_ms += rules.pause_ms
    sandbox.call(name)
    sandbox.run_tasks()
    assert sandbox.pauses == [rules.pause_ms, 2 * rules.pause_ms]


@pytest.mark.parametrize("end", ["dropped", "a bug"])
def test_probe_that_does_not_report_is_replaced(end: str) -> None:
    sandbox = Sandbox(GuardedCache, errors.CacheUnavailable("gone"))
    sandbox.call("look", times=2)
    sandbox.now_ms += CACHE.pause_ms
    sandbox.call("look")
    if end == "dropped":
        sandbox.tasks.clear()
        sandbox.now_ms += PROBE_MS
    else:
        sandbox.driver.error = ValueError("a bug")
        with pytest.raises(ValueError, match="a bug"):
            sandbox.run_tasks()
    sandbox.driver.error = None
    sandbox.call("look")
    sandbox.run_tasks()
    assert sandbox.guarded.look(step("q")) == "look"


def test_one_probe_serves_every_query_and_closes_those_for_which_the_cache_is_fast_enough() -> None:
    sandbox = Sandbox(GuardedCache, errors.CacheUnavailable("late"))
    for query, load_ms in (("fast", 2), ("slow", 5_000)):
        sandbox.guarded.note_load(query, load_ms)
        sandbox.call("look", query, times=2)
    sandbox.now_ms += CACHE.pause_ms
    for query in ("slow", "fast"):
        sandbox.call("look", query)
    sandbox.driver.error = None
    sandbox.driver.ping = lambda: time.sleep(0.05)
    assert sandbox.run_tasks() == 1
    assert sandbox.guarded.look(step("slow")) == "look"
    sandbox.call("look", "fast")


def test_probe_takes_no_longer_than_the_slowest_query_that_needs_it() -> None:
    """Where no extension runs, the caller waits for it."""
    sandbox = Sandbox(GuardedCache, errors.CacheUnavailable("late"))
    for query, load_ms in (("fast", 2), ("slower", 50), ("slow", 5_000)):
        sandbox.guarded.note_load(query, load_ms)
    for query in ("fast", "slower"):
        sandbox.call("look", query, times=2)
    sandbox.now_ms += CACHE.pause_ms
    sandbox.call("look", "fast")
    sandbox.run_tasks()
    assert sandbox.driver.limits[-1] == (50, 1_000)


def test_caller_gets_no_error_for_an_outage_of_the_database_that_is_long_over() -> None:
    """A sandbox that was idle since the outage has not probed."""
    sandbox = Sandbox(GuardedQueries, errors.DatabaseSilent("gone"))
    sandbox.call("load", times=2)
    sandbox.now_ms += DATABASE.pause_ms + DATABASE.pause_at_most_ms
    sandbox.call("load")  # it is still silent: the next request does not wait for it
    assert sandbox.driver.calls == ["load"] * 3
    sandbox.call("load")
    assert sandbox.driver.calls == ["load"] * 3
    sandbox.now_ms += 2 * DATABASE.pause_ms + DATABASE.pause_at_most_ms
    sandbox.driver.error = None
    assert [sandbox.guarded.load(step("q")) for _ in range(2)] == ["load", "load"]


def test_database_that_refuses_a_probe_is_asked_by_the_next_request() -> None:
    sandbox = Sandbox(GuardedQueries, errors.DatabaseSilent("gone"))
    sandbox.call("load", times=2)
    sandbox.now_ms += DATABASE.pause_ms
    sandbox.driver.error = errors.DatabaseUnavailable("starting")
    sandbox.call("load")
    sandbox.run_tasks()
    sandbox.driver.error = None
    assert sandbox.guarded.load(step("q")) == "load"


@pytest.mark.parametrize(("kind", "name", "error", "_rules"), PROBED)
def test_ping_asks_the_server_and_does_not_change_the_breaker(kind: Any, name: str, error: Any, _rules: Any) -> None:
    sandbox = Sandbox(kind, error("gone"))
    for _ in range(10):
        with pytest.raises(error, match="gone"):
            sandbox.guarded.ping()
    assert sandbox.pauses == []
    sandbox.call(name, times=10)
    sandbox.driver.error = None
    sandbox.guarded.ping()  # does not raise, though the breaker is open
    assert len(sandbox.pauses) == 1
    sandbox.call(name)

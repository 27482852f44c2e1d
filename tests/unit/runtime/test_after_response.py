"""Tasks after the response, with a stand-in for the Extensions API: the order of handlers, tasks and calls."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

import pytest

from cacheaside.runtime.after_response import AfterResponse
from tests.unit.support.runtime_api import Context, Runtime, logging_handler, serving


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    with serving(Runtime()) as runtime:
        yield runtime


@pytest.fixture(autouse=True)
def slow_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow the stand-in to be slow on a busy machine."""
    monkeypatch.setattr("cacheaside.runtime.extension._REGISTER_S", 30)


@pytest.fixture
def queue(runtime: Runtime) -> AfterResponse:
    queue = AfterResponse.start(runtime.environment)
    runtime.await_log("register", "next")
    return queue


def test_start_registers_for_invoke_and_asks_at_once_because_init_waits_for_that(
    runtime: Runtime, queue: AfterResponse
) -> None:
    assert runtime.registrations == [("cacheaside", {"events": ["INVOKE"]})]
    assert not queue.inline


def test_tasks_run_in_turn_after_the_handler_and_before_the_next_event_is_asked_for(
    runtime: Runtime, queue: AfterResponse
) -> None:
    tasks = [lambda name=name: runtime.log.append(name) for name in ("first", "second")]
    runtime.invoke()
    assert logging_handler(runtime, queue, *tasks)({}, Context()) == "answer"
    runtime.await_log("register", "next", "handler", "first", "second", "next")


def test_response_does_not_wait_for_the_task(runtime: Runtime, queue: AfterResponse) -> None:
    answered = threading.Event()
    runtime.invoke()
    handler = logging_handler(runtime, queue, lambda: runtime.log.append(f"answered: {answered.wait(30)}"))
    handler({}, Context())
    answered.set()
    runtime.await_log("register", "next", "handler", "answered: True", "next")


def test_no_task_is_lost_if_the_handler_ends_before_the_extension_gets_the_event(
    runtime: Runtime, queue: AfterResponse
) -> None:
    logging_handler(runtime, queue, lambda: runtime.log.append("task"))({}, Context())
    runtime.await_log("register", "next", "handler")
    runtime.invoke()
    runtime.await_log("register", "next", "handler", "task", "next")


def test_invocation_without_tasks_lets_the_sandbox_freeze_at_once(runtime: Runtime, queue: AfterResponse) -> None:
    handler = logging_handler(runtime, queue)
    for invocation in (1, 2):
        runtime.invoke()
        handler({}, Context())
        runtime.await_log("register", "next", *["handler", "next"] * invocation)


@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit(3)])
def test_task_of_a_handler_that_raises_runs_too(runtime: Runtime, queue: AfterResponse, error: BaseException) -> None:
    @queue.wrap
    def handler(_event: object, _context: Context) -> None:
        queue.submit(lambda: runtime.log.append("task"))
        raise error

    runtime.invoke()
    with pytest.raises(type(error)):
        handler({}, Context())
    runtime.await_log("register", "next", "task", "next")


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_task_that_raises_is_logged_and_stops_neither_the_others_nor_the_thread(
    runtime: Runtime, queue: AfterResponse, caplog: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    def fail() -> None:
        raise error("boom")

    handler = logging_handler(runtime, queue, fail, lambda: runtime.log.append("task"))
    for invocation in (1, 2):
        runtime.invoke()
        handler({}, Context())
        runtime.await_log("register", "next", *["handler", "task", "next"] * invocation)
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [error] * 2


def test_task_is_dropped_and_counted_if_less_time_is_left_than_it_needs(
    runtime: Runtime, queue: AfterResponse, caplog: pytest.LogCaptureFixture
) -> None:
    context = Context(left_ms=1000)

    def take_long() -> None:
        runtime.log.append("long")
        context.left_ms = 299

    handler = logging_handler(runtime, queue, take_long, lambda: runtime.log.append("too late"), needs_ms=300)
    runtime.invoke()
    handler({}, context)
    runtime.await_log("register", "next", "handler", "long", "next")
    assert queue.dropped == 1
    assert "299 ms left, 300 needed" in caplog.text


def test_next_handler_waits_for_a_running_task_even_if_lambda_does_not(runtime: Runtime, queue: AfterResponse) -> None:
    def take_a_while() -> None:
        time.sleep(0.2)
        runtime.log.append("task")

    runtime.invoke()
    logging_handler(runtime, queue, take_a_while)({}, Context())
    logging_handler(runtime, queue)({}, Context())
    assert [line for line in runtime.log[2:] if line != "next"] == ["handler", "task", "handler"]


def test_task_that_a_task_submits_runs_in_the_same_invocation(runtime: Runtime, queue: AfterResponse) -> None:
    runtime.invoke()
    logging_handler(runtime, queue, lambda: queue.submit(lambda: runtime.log.append("second")))({}, Context())
    runtime.await_log("register", "next", "handler", "second", "next")


def test_no_task_is_lost_or_run_beside_a_handler_over_many_invocations(runtime: Runtime, queue: AfterResponse) -> None:
    busy, done = threading.Lock(), []

    @queue.wrap
    def handler(number: int, _context: Context) -> None:
        def task() -> None:
            assert busy.acquire(blocking=False)
            done.append(number)
            busy.release()

        assert busy.acquire(blocking=False)
        queue.submit(task)
        busy.release()

    for number in range(300):
        runtime.invoke()
        handler(number, Context())
    runtime.await_log("register", *["next"] * 301)
    assert done == list(range(300))


def test_failure_to_get_an_event_loses_no_task_and_makes_later_ones_inline(
    runtime: Runtime, queue: AfterResponse, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    handler = logging_handler(runtime, queue, lambda: runtime.log.append("task"))
    handler({}, Context())
    runtime.invoke(status=500)
    runtime.await_log("register", "next", "handler", "task")
    assert queue.inline
    handler({}, Context())
    assert runtime.log[4:] == ["handler", "task"]
    assert "the extension got no event" in caplog.text


def test_wrapped_handler_keeps_its_name_for_the_logs() -> None:
    def handler(_event: object, _context: Context) -> None:
        """Docstring of the handler."""

    wrapped = AfterResponse().wrap(handler)
    assert (wrapped.__name__, wrapped.__doc__) == ("handler", "Docstring of the handler.")

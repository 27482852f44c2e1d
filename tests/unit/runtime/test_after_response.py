"""Work after the response, against a Runtime API that the test plays: what is asked of Lambda, and in which order."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

import pytest

from cacheaside.runtime.after_response import AfterResponse
from tests.unit.support.runtime_api import Context, Runtime, serving, telling


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    with serving(Runtime()) as runtime:
        yield runtime


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime may be slow to answer."""
    monkeypatch.setattr("cacheaside.runtime.after_response._REGISTER_S", 30)


@pytest.fixture
def work(runtime: Runtime) -> AfterResponse:
    work = AfterResponse.start(runtime.environment)
    runtime.await_story("register", "next")
    return work


def test_registers_for_invoke_alone_and_asks_at_once_because_init_lasts_until_then(
    runtime: Runtime, work: AfterResponse
) -> None:
    assert runtime.registrations == [("cacheaside", {"events": ["INVOKE"]})]
    assert not work.inline


def test_tasks_run_in_turn_after_the_handler_and_before_the_next_event_is_asked_for(
    runtime: Runtime, work: AfterResponse
) -> None:
    tasks = [lambda name=name: runtime.story.append(name) for name in ("first", "second")]
    runtime.invoke()
    assert telling(runtime, work, *tasks)({}, Context()) == "answer"
    runtime.await_story("register", "next", "handler", "first", "second", "next")


def test_the_answer_does_not_wait_for_the_task(runtime: Runtime, work: AfterResponse) -> None:
    answered = threading.Event()
    runtime.invoke()
    handler = telling(runtime, work, lambda: runtime.story.append(f"answered: {answered.wait(30)}"))
    handler({}, Context())
    answered.set()
    runtime.await_story("register", "next", "handler", "answered: True", "next")


def test_nothing_is_lost_when_the_handler_ends_before_the_extension_hears_of_the_invocation(
    runtime: Runtime, work: AfterResponse
) -> None:
    telling(runtime, work, lambda: runtime.story.append("task"))({}, Context())
    runtime.await_story("register", "next", "handler")
    runtime.invoke()
    runtime.await_story("register", "next", "handler", "task", "next")


def test_an_invocation_without_tasks_lets_the_sandbox_freeze_at_once(runtime: Runtime, work: AfterResponse) -> None:
    handler = telling(runtime, work)
    for invocation in (1, 2):
        runtime.invoke()
        handler({}, Context())
        runtime.await_story("register", "next", *["handler", "next"] * invocation)


@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit(3)])
def test_a_handler_that_raises_has_ended_too(runtime: Runtime, work: AfterResponse, error: BaseException) -> None:
    @work.wrap
    def handler(_event: object, _context: Context) -> None:
        work.submit(lambda: runtime.story.append("task"))
        raise error

    runtime.invoke()
    with pytest.raises(type(error)):
        handler({}, Context())
    runtime.await_story("register", "next", "task", "next")


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_a_task_that_raises_is_logged_and_stops_neither_the_others_nor_the_thread(
    runtime: Runtime, work: AfterResponse, caplog: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    def fail() -> None:
        raise error("boom")

    handler = telling(runtime, work, fail, lambda: runtime.story.append("task"))
    for invocation in (1, 2):
        runtime.invoke()
        handler({}, Context())
        runtime.await_story("register", "next", *["handler", "task", "next"] * invocation)
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [error] * 2


def test_a_task_is_dropped_and_counted_when_the_invocation_has_less_time_left_than_it_needs(
    runtime: Runtime, work: AfterResponse, caplog: pytest.LogCaptureFixture
) -> None:
    context = Context(left_ms=1000)

    def take_long() -> None:
        runtime.story.append("long")
        context.left_ms = 299

    handler = telling(runtime, work, take_long, lambda: runtime.story.append("too late"), needs_ms=300)
    runtime.invoke()
    handler({}, context)
    runtime.await_story("register", "next", "handler", "long", "next")
    assert work.dropped == 1
    assert "299 ms left, 300 needed" in caplog.text


def test_the_next_handler_waits_for_a_running_task_even_if_lambda_should_not(
    runtime: Runtime, work: AfterResponse
) -> None:
    def take_a_while() -> None:
        time.sleep(0.2)
        runtime.story.append("task")

    runtime.invoke()
    telling(runtime, work, take_a_while)({}, Context())
    telling(runtime, work)({}, Context())
    assert [who for who in runtime.story[2:] if who != "next"] == ["handler", "task", "handler"]


def test_a_task_may_submit_another_which_belongs_to_the_same_invocation(runtime: Runtime, work: AfterResponse) -> None:
    runtime.invoke()
    telling(runtime, work, lambda: work.submit(lambda: runtime.story.append("second")))({}, Context())
    runtime.await_story("register", "next", "handler", "second", "next")


def test_no_task_is_lost_or_run_beside_a_handler_over_many_invocations(runtime: Runtime, work: AfterResponse) -> None:
    busy, done = threading.Lock(), []

    @work.wrap
    def handler(number: int, _context: Context) -> None:
        def task() -> None:
            assert busy.acquire(blocking=False)
            done.append(number)
            busy.release()

        assert busy.acquire(blocking=False)
        work.submit(task)
        busy.release()

    for number in range(300):
        runtime.invoke()
        handler(number, Context())
    runtime.await_story("register", *["next"] * 301)
    assert done == list(range(300))


def test_a_failing_event_api_loses_no_task_and_leaves_the_rest_inline(
    runtime: Runtime, work: AfterResponse, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    handler = telling(runtime, work, lambda: runtime.story.append("task"))
    handler({}, Context())
    runtime.invoke(status=500)
    runtime.await_story("register", "next", "handler", "task")
    assert work.inline
    handler({}, Context())
    assert runtime.story[4:] == ["handler", "task"]
    assert "the extension got no event" in caplog.text


def test_the_handlers_name_is_kept_for_whoever_logs_it() -> None:
    def handler(_event: object, _context: Context) -> None:
        """What it does."""

    wrapped = AfterResponse().wrap(handler)
    assert (wrapped.__name__, wrapped.__doc__) == ("handler", "What it does.")

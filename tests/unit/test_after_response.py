"""Work after the response, against a Runtime API that the test plays: what is asked of Lambda, and in which order."""

from __future__ import annotations

import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from typing import Any

import pytest

from cacheaside.after_response import AfterResponse


class Runtime(ThreadingHTTPServer):
    """The two endpoints of Lambda. Notes who did what in `story`, in which handlers and tasks take part."""

    daemon_threads = True

    def __init__(self, register_status: int = 200, identifier: str | None = "the-id") -> None:
        super().__init__(("127.0.0.1", 0), _Call)
        self.register_status, self.identifier = register_status, identifier
        self.registrations: list[tuple[str, object]] = []
        self.story: list[str] = []
        self.events: SimpleQueue[int] = SimpleQueue()

    @property
    def environment(self) -> dict[str, str]:
        return {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.server_port}"}

    def invoke(self, status: int = 200) -> None:
        """Answer the next request for an event, be it made already or not."""
        self.events.put(status)

    def await_story(self, *story: str) -> None:
        deadline = time.monotonic() + 5
        while self.story != list(story):
            assert time.monotonic() < deadline, self.story
            time.sleep(0.005)


class _Call(BaseHTTPRequestHandler):
    server: Runtime

    def do_POST(self) -> None:
        assert self.path == "/2020-01-01/extension/register"
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.registrations.append((self.headers["Lambda-Extension-Name"], body))
        self.server.story.append("register")
        self._answer(self.server.register_status)

    def do_GET(self) -> None:
        assert self.path == "/2020-01-01/extension/event/next"
        assert self.headers["Lambda-Extension-Identifier"] == self.server.identifier
        self.server.story.append("next")
        self._answer(self.server.events.get())

    def _answer(self, status: int) -> None:
        self.send_response(status)
        if self.server.identifier:
            self.send_header("Lambda-Extension-Identifier", self.server.identifier)
        self.end_headers()
        self.wfile.write(b'{"errorType": "Extension.NotToday"}' if status != 200 else b"{}")

    def log_message(self, *args: object) -> None:
        return


class Context:
    """One with a second left, unless told otherwise."""

    def __init__(self, left_ms: int = 1000) -> None:
        self.left_ms = left_ms

    def get_remaining_time_in_millis(self) -> int:
        return self.left_ms


@contextmanager
def serving(runtime: Runtime) -> Iterator[Runtime]:
    with runtime:
        threading.Thread(target=runtime.serve_forever, args=[0.02], daemon=True).start()
        yield runtime
        runtime.shutdown()


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    with serving(Runtime()) as runtime:
        yield runtime


@pytest.fixture
def work(runtime: Runtime) -> AfterResponse:
    work = AfterResponse.start(runtime.environment)
    runtime.await_story("register", "next")
    return work


Handler = Callable[[object, Context], str]


def telling(runtime: Runtime, work: AfterResponse, *tasks: Callable[[], object], needs_ms: int = 0) -> Handler:
    """A handler that submits `tasks`, and tells the runtime that it has run."""

    @work.around
    def handler(_event: object, _context: Context) -> str:
        for task in tasks:
            work.submit(task, needs_ms=needs_ms)
        runtime.story.append("handler")
        return "answer"

    return handler


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
    handler = telling(runtime, work, lambda: runtime.story.append(f"answered: {answered.wait(5)}"))
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
    @work.around
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
    assert runtime.story[2:] in (["handler", "task", "handler"], ["handler", "task", "next", "handler"])


def test_a_task_may_submit_another_which_belongs_to_the_same_invocation(runtime: Runtime, work: AfterResponse) -> None:
    runtime.invoke()
    telling(runtime, work, lambda: work.submit(lambda: runtime.story.append("second")))({}, Context())
    runtime.await_story("register", "next", "handler", "second", "next")


def test_no_task_is_lost_or_run_beside_a_handler_over_many_invocations(runtime: Runtime, work: AfterResponse) -> None:
    busy, done = threading.Lock(), []

    @work.around
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


def test_outside_lambda_tasks_run_before_the_answer_is_returned(caplog: pytest.LogCaptureFixture) -> None:
    story: list[str] = []
    work = AfterResponse.start({})

    @work.around
    def handler(_event: object, _context: Context) -> str:
        work.submit(lambda: story.append("task"))
        work.submit(lambda: 1 / 0)
        work.submit(lambda: story.append("too long"), needs_ms=2000)
        story.append("handler")
        return "answer"

    assert handler({}, Context()) == "answer"
    assert (work.inline, work.dropped, story) == (True, 1, ["handler", "task"])
    assert "ZeroDivisionError" in caplog.text


def test_outside_lambda_the_tasks_of_a_handler_that_raises_run_too() -> None:
    story: list[str] = []
    work = AfterResponse.start({})

    @work.around
    def handler(_event: object, _context: Context) -> None:
        work.submit(lambda: story.append("task"))
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        handler({}, Context())
    assert story == ["task"]


@pytest.mark.parametrize("how", [{"register_status": 403}, {"register_status": 500}, {"identifier": None}])
def test_a_refused_registration_means_inline_and_is_told(how: Any, caplog: pytest.LogCaptureFixture) -> None:
    with serving(Runtime(**how)) as runtime:
        work = AfterResponse.start(runtime.environment)
        telling(runtime, work, lambda: runtime.story.append("task"))({}, Context())
        assert work.inline
        assert runtime.story == ["register", "handler", "task"]
    assert "no extension could be registered" in caplog.text


def test_nobody_at_the_address_means_inline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
    assert AfterResponse.start({"AWS_LAMBDA_RUNTIME_API": address}).inline


def test_silence_at_the_address_costs_a_moment_and_means_inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[AfterResponse.__module__], "_REGISTER_S", 0.1)
    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = "{}:{}".format(*silent.getsockname())
        assert AfterResponse.start({"AWS_LAMBDA_RUNTIME_API": address}).inline
    assert time.monotonic() - started < 5


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

    wrapped = AfterResponse().around(handler)
    assert (wrapped.__name__, wrapped.__doc__) == ("handler", "What it does.")

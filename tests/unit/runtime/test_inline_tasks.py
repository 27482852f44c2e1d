"""Tasks without an extension that keeps the sandbox awake: they run before the response."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from cacheaside.runtime.after_response import AfterResponse
from tests.unit.support.runtime_api import Context, Runtime, logging_handler, serving


def test_outside_lambda_tasks_run_before_the_answer_is_returned(caplog: pytest.LogCaptureFixture) -> None:
    log: list[str] = []
    queue = AfterResponse.start({})

    @queue.wrap
    def handler(_event: object, _context: Context) -> str:
        queue.submit(lambda: log.append("task"))
        queue.submit(lambda: 1 / 0)
        queue.submit(lambda: log.append("too long"), needs_ms=2000, on_drop=lambda: log.append("dropped"))
        log.append("handler")
        return "answer"

    assert handler({}, Context()) == "answer"
    assert (queue.inline, queue.dropped, log) == (True, 1, ["handler", "task", "dropped"])
    assert "ZeroDivisionError" in caplog.text


def test_outside_lambda_the_tasks_of_a_handler_that_raises_run_too() -> None:
    log: list[str] = []
    queue = AfterResponse.start({})

    @queue.wrap
    def handler(_event: object, _context: Context) -> None:
        queue.submit(lambda: log.append("task"))
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        handler({}, Context())
    assert log == ["task"]


@pytest.mark.parametrize("refusal", [{"register_status": 403}, {"register_status": 500}, {"identifier": None}])
def test_refused_registration_makes_tasks_inline_and_is_logged(
    refusal: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cacheaside.runtime.extension._REGISTER_S", 30)
    with serving(Runtime(**refusal)) as runtime:
        queue = AfterResponse.start(runtime.environment)
        logging_handler(runtime, queue, lambda: runtime.log.append("task"))({}, Context())
        assert queue.inline
        assert runtime.log == ["register", "handler", "task"]
    assert "no extension could be registered" in caplog.text


def test_refused_connection_makes_tasks_inline() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*closed.getsockname())
        assert AfterResponse.start({"AWS_LAMBDA_RUNTIME_API": address}).inline


def test_api_that_does_not_answer_makes_tasks_inline_after_a_short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cacheaside.runtime.extension._REGISTER_S", 0.1)
    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = "{}:{}".format(*silent.getsockname())
        assert AfterResponse.start({"AWS_LAMBDA_RUNTIME_API": address}).inline
    assert time.monotonic() - started < 20

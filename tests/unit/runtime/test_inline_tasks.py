"""Work after the response where nothing keeps a sandbox awake: it is done before."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from cacheaside.runtime.after_response import AfterResponse
from tests.unit.support.runtime_api import Context, Runtime, serving, telling


def test_outside_lambda_tasks_run_before_the_answer_is_returned(caplog: pytest.LogCaptureFixture) -> None:
    story: list[str] = []
    work = AfterResponse.start({})

    @work.wrap
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

    @work.wrap
    def handler(_event: object, _context: Context) -> None:
        work.submit(lambda: story.append("task"))
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        handler({}, Context())
    assert story == ["task"]


@pytest.mark.parametrize("how", [{"register_status": 403}, {"register_status": 500}, {"identifier": None}])
def test_a_refused_registration_means_inline_and_is_told(
    how: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cacheaside.runtime.after_response._REGISTER_S", 30)
    with serving(Runtime(**how)) as runtime:
        work = AfterResponse.start(runtime.environment)
        telling(runtime, work, lambda: runtime.story.append("task"))({}, Context())
        assert work.inline
        assert runtime.story == ["register", "handler", "task"]
    assert "no extension could be registered" in caplog.text


def test_nobody_at_the_address_means_inline() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*deaf.getsockname())
        assert AfterResponse.start({"AWS_LAMBDA_RUNTIME_API": address}).inline


def test_silence_at_the_address_costs_a_moment_and_means_inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cacheaside.runtime.after_response._REGISTER_S", 0.1)
    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = "{}:{}".format(*silent.getsockname())
        assert AfterResponse.start({"AWS_LAMBDA_RUNTIME_API": address}).inline
    assert time.monotonic() - started < 20

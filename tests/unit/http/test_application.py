"""The table of routes: a caller gets a problem document whatever else fails."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import NoReturn

import pytest

from cacheaside.http import application
from cacheaside.http.application import Application
from cacheaside.http.messages import Request, Response
from tests.support.root import ROOT


def test_an_error_that_cannot_be_logged_is_answered_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = Application()

    @app.route("/health")
    def fail(_: Request) -> Response:
        raise ValueError("a bug")

    def no_logger() -> NoReturn:
        raise ImportError("no Powertools")

    monkeypatch.setattr(application, "_logger", no_logger)
    event = json.loads((ROOT / "events" / "query_health.json").read_text())
    invocation = SimpleNamespace(aws_request_id="the-id", get_remaining_time_in_millis=lambda: 1)
    response = app.answer(event, invocation)
    assert (response["statusCode"], json.loads(response["body"])["instance"]) == (500, "urn:uuid:the-id")
    assert "an error could not be logged: ValueError" in caplog.text

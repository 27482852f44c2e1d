"""The table of routes: a caller gets a problem document whatever else fails."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from cacheaside.errors import BadParameters, ParameterProblem
from cacheaside.http import application
from cacheaside.http.application import Application
from cacheaside.http.callers import caller_of, claims_of
from cacheaside.http.documents import json_response
from cacheaside.http.messages import Request, Response
from cacheaside.http.problems import problem_response
from tests.support.root import ROOT

INVOCATION = SimpleNamespace(aws_request_id="the-id", get_remaining_time_in_millis=lambda: 1)


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
    response = app.answer(event, INVOCATION)
    assert (response["statusCode"], json.loads(response["body"])["instance"]) == (500, "urn:uuid:the-id")
    assert "an error could not be logged: ValueError" in caplog.text


HTTP = {"requestContext": {"http": {"method": "GET"}}, "rawPath": "/health", "routeKey": "GET /health"}


@pytest.mark.parametrize(
    "event",
    [
        *(
            {},
            {"requestContext": None},
            {"requestContext": {"http": []}},
            {**HTTP, "rawPath": None},
            {**HTTP, "body": 5},
        ),
        *({**HTTP, "headers": ["a"]}, {**HTTP, "headers": {"a": 1}}, {**HTTP, "rawQueryString": {"a": "b"}}),
        {**HTTP, "requestContext": {"http": {"method": 1}}},
        *(None, [], "x", 5),
    ],
)
def test_event_that_is_none_of_a_gateway_is_the_callers_error(event: Any, caplog: pytest.LogCaptureFixture) -> None:
    response = Application().answer(event, INVOCATION)
    assert (response["statusCode"], json.loads(response["body"])["type"]) == (400, "/docs#bad-body")
    assert caplog.records == []


@pytest.mark.parametrize(
    "authorizer",
    [*("x", [1], {"jwt": "x"}, {"jwt": {"claims": ["x"]}}), *({"iam": "x"}, {"iam": {"userArn": 5}})],
)
def test_authorizer_of_another_form_is_the_callers_error(authorizer: Any, caplog: pytest.LogCaptureFixture) -> None:
    app = Application()
    app.route("/health")(lambda request: json_response([claims_of(request), caller_of(request)]))
    event = {**HTTP, "requestContext": {**HTTP["requestContext"], "authorizer": authorizer}}
    response = app.answer(event, INVOCATION)
    assert (response["statusCode"], json.loads(response["body"])["type"]) == (400, "/docs#bad-body")
    assert caplog.records == []


def test_problem_that_repeats_half_a_surrogate_pair_can_be_sent() -> None:
    error = BadParameters([ParameterProblem("\ud800", "it is no text")])
    body = problem_response(error, "the-id").body.encode()
    assert json.loads(body)["errors"] == [{"parameter": "?", "detail": "it is no text"}]

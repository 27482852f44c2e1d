"""The files of events/ are as API Gateway and CloudFormation would send them to the functions of this template."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl

import pytest

from local.containers.emulator import function_of
from local.template import read_template
from tests.support.root import ROOT

EVENTS = {path: json.loads(path.read_text()) for path in sorted((ROOT / "events").glob("*.json"))}
HTTP = {path: event for path, event in EVENTS.items() if "routeKey" in event}
ROUTES = {route.key: route.function for route in read_template(ROOT / "template.yaml").routes}

http_events = pytest.mark.parametrize("event", HTTP.values(), ids=[path.stem for path in HTTP])


def test_every_route_and_function_has_an_event() -> None:
    # A HEAD route runs the code of its GET route: one event stands for all of them.
    heads = {key for key in ROUTES if key.startswith("HEAD ")}
    asked = {event["routeKey"] for event in HTTP.values()}
    assert asked - heads == set(ROUTES) - heads
    assert len(asked & heads) == 1
    assert {function_of(path) for path in EVENTS} == {*ROUTES.values(), "MigrateFunction"}


def test_event_goes_to_the_function_of_its_route() -> None:
    assert {path.name: function_of(path) for path in HTTP} == {
        path.name: ROUTES[event["routeKey"]] for path, event in HTTP.items()
    }


@http_events
def test_path_is_one_of_the_route(event: dict[str, Any]) -> None:
    context = event["requestContext"]
    assert (context["routeKey"], context["http"]["path"]) == (event["routeKey"], event["rawPath"])
    method, _, template = event["routeKey"].partition(" ")
    if event["routeKey"] == "$default":
        assert f"{context['http']['method']} {event['rawPath']}" not in ROUTES
        return
    assert method == context["http"]["method"]
    greedy = re.sub(r"/{(\w+)\+}", r"/(?P<\1>.+)", template)
    found = re.fullmatch(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", greedy), event["rawPath"])
    assert found
    assert found.groupdict() == event.get("pathParameters", {})


@http_events
def test_raw_and_parsed_query_string_are_equal(event: dict[str, Any]) -> None:
    assert dict(parse_qsl(event["rawQueryString"])) == event.get("queryStringParameters", {})


@http_events
def test_body_is_as_long_as_its_header_says(event: dict[str, Any]) -> None:
    assert event["headers"]["content-length"] == str(len(event.get("body", "").encode()))
    assert ("body" in event) == ("content-type" in event["headers"]) == event["routeKey"].startswith("POST ")


@http_events
def test_signed_requests_have_an_authorizer(event: dict[str, Any]) -> None:
    assert ("authorizer" in event["requestContext"]) == event["routeKey"].startswith("POST ")

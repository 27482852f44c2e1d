"""The event of a request: the same as that of the gateway, and an error where there is no such request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.errors import LocalError
from local.event_of_request import event_of_request, parse_request
from local.template import Route, Template, read_template
from tests.support.root import ROOT

TEMPLATE = read_template(ROOT / "template.yaml")


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("/queries/x?id=42", ("GET", "/queries/x?id=42", None)),
        (" HEAD  /queries ", ("HEAD", "/queries", None)),
        ('POST /commands/x {"id": 1, "names": ["a b"]}', ("POST", "/commands/x", {"id": 1, "names": ["a b"]})),
    ],
)
def test_request_is_a_target_or_a_method_with_a_body(text: str, parsed: tuple[str, str, Any]) -> None:
    assert parse_request(text) == parsed


def test_query_is_asked_with_its_parameters() -> None:
    function, event = event_of_request(TEMPLATE, "GET", "/queries/x?id=42&name=a%20b")
    assert (function, event["routeKey"], event["pathParameters"]) == (
        "QueryFunction",
        "GET /queries/{name}",
        {"name": "x"},
    )
    assert event["queryStringParameters"] == {"id": "42", "name": "a b"}
    assert "body" not in event


def test_body_is_sent_as_json() -> None:
    function, event = event_of_request(TEMPLATE, "POST", "/commands/x", {"id": 42})
    assert (function, json.loads(event["body"])) == ("CommandFunction", {"id": 42})
    assert event["headers"]["content-type"] == "application/json"
    assert event["headers"]["content-length"] == str(len(event["body"]))


def test_request_without_a_route_is_an_error() -> None:
    template = Template({}, (Route("GET", "/queries", "QueryFunction"),))
    with pytest.raises(LocalError, match="no route of the template matches POST /queries"):
        event_of_request(template, "POST", "/queries", {})

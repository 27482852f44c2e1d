"""Payload format 2.0: events and answers."""

import base64
import calendar
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from local.api.events import MalformedAnswer, Request, to_event, to_response
from local.api.routing import Match
from local.template import Route
from tests.support.root import ROOT

HTTP_EVENTS = [path for path in sorted((ROOT / "events").glob("*.json")) if '"routeKey"' in path.read_text()]


def event_of(request: Request, key: str = "$default", parameters: dict[str, str] | None = None) -> dict[str, Any]:
    method, _, path = key.rpartition(" ")
    return to_event(request, Match(Route(method, path, "Function"), parameters or {}), port=3000)


def test_an_event_is_the_documented_one_field_by_field() -> None:
    """The 2.0 example of "Create AWS Lambda proxy integrations for HTTP APIs". Authentication, authorizer and stage
    variables are missing: only a deployed API has them.
    """
    request = Request(
        method="POST",
        target="/my/path?parameter1=value1&parameter1=value2&parameter2=value",
        headers=[
            ("Host", "id.execute-api.us-east-1.amazonaws.com"),
            ("Cookie", "cookie1; cookie2"),
            ("Header1", "value1"),
            ("Header2", "value1"),
            ("header2", "value2"),
            ("User-Agent", "agent"),
            ("Content-Type", "text/plain"),
        ],
        body=b"Hello from Lambda",
        source_ip="192.0.2.1",
    )
    event = event_of(request, parameters={"parameter1": "value1"})

    context = event["requestContext"]
    assert re.fullmatch(r"[\w-]{15}=", context.pop("requestId"))
    assert abs(context.pop("timeEpoch") / 1000 - time.time()) < 60
    parsed = time.strptime(context.pop("time"), "%d/%b/%Y:%H:%M:%S +0000")
    assert abs(calendar.timegm(parsed) - time.time()) < 60
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", event["headers"].pop("x-amzn-trace-id"))
    assert event == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/my/path",
        "rawQueryString": "parameter1=value1&parameter1=value2&parameter2=value",
        "cookies": ["cookie1", "cookie2"],
        "headers": {
            "content-length": "17",
            "content-type": "text/plain",
            "header1": "value1",
            "header2": "value1,value2",
            "host": "id.execute-api.us-east-1.amazonaws.com",
            "user-agent": "agent",
            "x-forwarded-for": "192.0.2.1",
            "x-forwarded-port": "3000",
            "x-forwarded-proto": "http",
        },
        "queryStringParameters": {"parameter1": "value1,value2", "parameter2": "value"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "local",
            "domainName": "id.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "id",
            "http": {
                "method": "POST",
                "path": "/my/path",
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "agent",
            },
            "routeKey": "$default",
            "stage": "$default",
        },
        "body": "Hello from Lambda",
        "pathParameters": {"parameter1": "value1"},
        "isBase64Encoded": False,
    }


def test_what_a_request_does_not_have_is_absent_and_not_null() -> None:
    assert (
        event_of(Request("GET", "/")).keys().isdisjoint({"cookies", "queryStringParameters", "pathParameters", "body"})
    )


def test_the_path_arrives_decoded_and_the_query_string_does_not() -> None:
    event = event_of(Request("GET", "/queries/caf%C3%A9?name=a%20b&empty=&flag"))
    assert event["rawPath"] == event["requestContext"]["http"]["path"] == "/queries/café"
    assert event["rawQueryString"] == "name=a%20b&empty=&flag"
    assert event["queryStringParameters"] == {"name": "a b", "empty": "", "flag": ""}


def test_headers_for_one_connection_are_not_passed_on() -> None:
    headers = [("Connection", "keep-alive"), ("TE", "trailers"), ("X-Forwarded-For", "203.0.113.7"), ("Accept", "a/b")]
    assert event_of(Request("GET", "/", headers))["headers"].keys() == {
        *("accept", "content-length", "x-amzn-trace-id", "x-forwarded-for", "x-forwarded-port", "x-forwarded-proto")
    }
    assert event_of(Request("GET", "/", headers))["headers"]["x-forwarded-for"] == "203.0.113.7, 127.0.0.1"


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/xml", True),
        ("text/csv", True),
        ("application/x-www-form-urlencoded", False),
        ("multipart/form-data; boundary=x", False),
        ("application/octet-stream", False),
        ("", False),
    ],
)
def test_a_body_is_text_for_few_media_types(content_type: str, text: bool) -> None:
    event = event_of(Request("POST", "/", [("Content-Type", content_type)], b"{}"))
    assert (event["body"], event["isBase64Encoded"]) == (("{}", False) if text else ("e30=", True))


def test_bytes_that_are_no_text_arrive_under_any_media_type() -> None:
    event = event_of(Request("POST", "/", [("Content-Type", "text/plain")], b"\xff\x00"))
    assert event["isBase64Encoded"]
    assert base64.b64decode(event["body"]) == b"\xff\x00"


@pytest.mark.parametrize("path", HTTP_EVENTS, ids=lambda path: str(path.stem))
def test_the_gateway_and_the_event_files_agree(path: Path) -> None:
    """A function must get the same events from `sam local invoke` and from the gateway."""
    expected = json.loads(path.read_text())
    headers, http = expected["headers"], expected["requestContext"]["http"]
    sent = {name: value for name, value in headers.items() if not name.startswith("x-forwarded")}
    query = f"?{expected['rawQueryString']}" if expected["rawQueryString"] else ""
    request = Request(http["method"], expected["rawPath"] + query, [*sent.items()], expected.get("body", "").encode())
    event = event_of(request, expected["routeKey"], expected.get("pathParameters"))
    assert set(event["headers"]) == set(headers)
    assert set(event["requestContext"]) == set(expected["requestContext"]) - {"authorizer"}
    for field in expected.keys() - {"headers", "requestContext"}:
        assert event[field] == expected[field], field
    assert event.keys() == expected.keys()


@pytest.mark.parametrize(
    ("answer", "body"),
    [("Hello", b"Hello"), ({"a": 1}, b'{"a": 1}'), ([1], b"[1]"), (None, b"null"), (True, b"true")],
)
def test_an_answer_without_a_status_is_json_with_200(answer: Any, body: bytes) -> None:
    response = to_response(answer)
    assert (response.status, response.headers, response.body) == (200, [("content-type", "application/json")], body)


def test_an_answer_with_a_status_becomes_that_response() -> None:
    answer = {
        "statusCode": 201,
        "headers": {
            "Content-Type": "a/b",
            "X-Count": 3,
            "X-Flag": True,
            "Content-Length": "999",
            "Connection": "close",
        },
        "cookies": ["a=1; Secure", "b=2"],
        "body": "aGVsbG8=",
        "isBase64Encoded": True,
    }
    response = to_response(answer)
    assert (response.status, response.body) == (201, b"hello")
    assert response.headers == [
        *(("Content-Type", "a/b"), ("X-Count", "3"), ("X-Flag", "true")),
        *(("set-cookie", "a=1; Secure"), ("set-cookie", "b=2")),
    ]


def test_a_body_without_a_type_is_plain_text_and_no_body_has_no_type() -> None:
    assert to_response({"statusCode": 200, "body": "é"}).headers == [("content-type", "text/plain;charset=UTF-8")]
    assert to_response({"statusCode": 304, "headers": None, "body": None}).headers == []


@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": "often"},
        {"statusCode": 99},
        {"statusCode": None},
        {"statusCode": 200, "body": {"not": "text"}},
        {"statusCode": 200, "body": "é", "isBase64Encoded": True},
        {"statusCode": 200, "headers": ["a"]},
        {"statusCode": 200, "headers": {"x": "a\r\nset-cookie: b"}},
        {"statusCode": 200, "headers": {"x": "\N{SNOWMAN}"}},
        {"statusCode": 200, "headers": {"x": "a\0b"}},
        {"statusCode": 200, "headers": {"x y": "a"}},
        {"statusCode": 200, "headers": {"\N{SNOWMAN}": "a"}},
    ],
)
def test_what_is_no_response_is_refused(answer: Any) -> None:
    with pytest.raises(MalformedAnswer):
        to_response(answer)

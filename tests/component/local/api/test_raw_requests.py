"""Requests that no HTTP client library sends: cut off, ambiguous, malformed, hostile."""

import json
import re
from contextlib import ExitStack

import pytest

from local.api.gateway import Gateway
from local.template import Function
from tests.component.support.gateway import connected, raw, serving

# /raise/ran: a function that runs would be told of.
POST = b"POST /raise/ran HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
GET = POST.replace(b"POST", b"GET")
NEXT = b"GET /raise/ran HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
TOO_LARGE = 10 * 1024 * 1024 + 1


def still_answers(gateway: Gateway) -> bool:
    return raw(gateway, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def event(answer: bytes) -> dict[str, object]:
    """The event of the function that answered."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), answer
    found: dict[str, object] = json.loads(body)["event"]
    return found


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(POST + b"Content-Length: 50\r\n\r\n" + b"x" * 18, id="18 of 50 bytes"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\n32\r\n" + b"x" * 18, id="18 of 50 bytes in a chunk"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nxx\r\n", id="no last chunk"),
        pytest.param(POST + b"Content-Length: 50\r\n", id="half a head"),
    ],
)
def test_a_request_that_is_cut_off_runs_nothing(gateway: Gateway, told: list[str], request_: bytes) -> None:
    assert raw(gateway, request_, cut_off=True) == b""
    assert still_answers(gateway)
    assert told == []


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(POST + b"Content-Length: 5\r\nContent-Length: 2\r\n\r\nhello", id="two lengths"),
        pytest.param(POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", id="5,000 digits of length"),
        pytest.param(POST + b"Content-Length: many\r\n\r\n" + NEXT, id="length is no number"),
        pytest.param(POST + b"Content-Length: -1\r\n\r\n" + NEXT, id="negative length"),
        pytest.param(POST + b"Content-Length: +5\r\n\r\nhello", id="length with a sign"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + NEXT, id="chunk size is no number"),
        pytest.param(POST + b"Transfer-Encoding: gzip\r\n\r\n" + NEXT, id="unknown transfer encoding"),
        pytest.param(b"GET /raise/ran HTTP/1.1\r\n\r\n", id="no Host"),
        pytest.param(GET + b"Host: b\r\n\r\n", id="two Hosts"),
        pytest.param("GET /raise/é HTTP/1.1\r\nHost: a\r\n\r\n".encode(), id="raw UTF-8 in the path"),
        pytest.param("GET /raise/ran?q=é HTTP/1.1\r\nHost: a\r\n\r\n".encode(), id="raw UTF-8 in the query string"),
        pytest.param(b"GET /raise/\x1b[31mred HTTP/1.1\r\nHost: a\r\n\r\n", id="ESC in the path"),
        pytest.param(b"G\x1b[31mT /raise/ran HTTP/1.1\r\nHost: a\r\n\r\n", id="ESC in the method"),
        pytest.param(b"GET /raise/a b HTTP/1.1\r\nHost: a\r\n\r\n", id="space in the path"),
        pytest.param(b"GET raise/ran HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", id="no slash"),
        pytest.param(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", id="asterisk"),
        pytest.param(b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", id="authority"),
        pytest.param(b"GET /raise/ran HTTP/2.0\r\nHost: a\r\nConnection: close\r\n\r\n", id="another version"),
        pytest.param(b"GET /raise/ran\r\n\r\n", id="HTTP/0.9"),
        pytest.param(GET + b"no colon\r\n\r\n", id="header without a colon"),
        pytest.param(GET + b"A : b\r\n\r\n", id="space before the colon"),
        pytest.param(GET + b"A: b\0c\r\n\r\n", id="NUL in a header"),
        pytest.param(b"hello\r\n\r\n", id="no HTTP"),
        pytest.param(b"\x16\x03\x01\0\xc8\x01\0\0\xc4\x03\x03" + b"\0" * 50, id="TLS"),
    ],
)
def test_a_malformed_request_is_refused_and_runs_nothing(gateway: Gateway, told: list[str], request_: bytes) -> None:
    answer = raw(gateway, request_)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert still_answers(gateway)
    assert told == []


def test_a_chunked_body_arrives_whole(gateway: Gateway) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    found = event(raw(gateway, head + b"Transfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"))
    assert found["body"] == "hello world"
    assert isinstance(headers := found["headers"], dict)
    assert (headers["content-length"], "transfer-encoding" in headers) == ("11", False)


def test_a_chunked_body_over_the_limit_is_refused(gateway: Gateway, told: list[str]) -> None:
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (TOO_LARGE, b"x" * TOO_LARGE)
    answer = raw(gateway, POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert told == []


@pytest.mark.parametrize("origin", [b"", b"http://a", b"https://a:3000"])
def test_path_and_query_string_arrive_as_they_were_sent(gateway: Gateway, origin: bytes) -> None:
    target = origin + b"/context/a%2Fb%20c?q=a%20b&q=%C3%A9&flag"
    found = event(raw(gateway, b"GET " + target + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
    assert (found["routeKey"], found["pathParameters"]) == ("GET /context/{name}", {"name": "a/b c"})
    assert (found["rawPath"], found["rawQueryString"]) == ("/context/a/b c", "q=a%20b&q=%C3%A9&flag")


def test_requests_sent_at_once_are_answered_in_order(gateway: Gateway) -> None:
    heads = [b"GET /context/%d HTTP/1.1\r\nHost: a\r\n" % number for number in range(3)]
    answer = raw(gateway, b"\r\n".join(heads) + b"Connection: close\r\n\r\n")
    assert re.findall(rb'"rawPath": "/context/(.)"', answer) == [b"0", b"1", b"2"]


def test_a_client_cannot_choose_its_address(gateway: Gateway) -> None:
    answer = raw(gateway, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
    assert b'"sourceIp": "127.0.0.1"' in answer
    assert b'"x-forwarded-for": "192.0.2.1, 127.0.0.1"' in answer


def test_clients_that_send_half_a_request_hold_up_no_other(gateway: Gateway, told: list[str]) -> None:
    with ExitStack() as clients:
        for _ in range(200):
            client = clients.enter_context(connected(gateway))
            client.connect()
            client.sock.sendall(POST + b"Content-Length: 50\r\n\r\n" + b"x" * 18)
        assert still_answers(gateway)
    assert still_answers(gateway)
    assert told == []


def test_a_head_without_end_is_refused(gateway: Gateway, told: list[str]) -> None:
    with connected(gateway) as client:
        client.connect()
        client.sock.sendall(GET)
        with pytest.raises(OSError):  # noqa: PT012 - whichever send finds the connection closed
            for number in range(1_000_000):
                client.sock.sendall(b"X-%d: %s\r\n" % (number, b"x" * 1000))
    assert still_answers(gateway)
    assert told == []


def test_control_characters_do_not_reach_the_terminal(function: Function, told: list[str]) -> None:
    with serving(function, print_line=told.append, access=True) as gateway:
        raw(gateway, b"GET /raise/%1B[31mred%0Agreen%E2%80%AE HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        raw(gateway, b"GET /\x1b[31mred HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert told[0].startswith(r"ToldFunction: ValueError: \x1b[31mred\ngreen\u202e (")
    assert all(line.isprintable() for line in told)

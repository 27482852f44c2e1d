"""The gateway over real HTTP: a socket on this side, sandboxes on the other."""

import http.client
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import local.api.gateway
import local.api.pool
from local.api.gateway import Gateway
from local.errors import LocalError
from local.servers.processes import HOST
from local.template import Function, Route, Template
from tests.support.ports import unclaimed_port
from tests.support.until import until

ROUTES = (
    Route("GET", "/context/{name}", "ToldFunction"),
    Route("POST", "/only/post", "ToldFunction"),
    Route("", "$default", "ToldFunction"),
)


@pytest.fixture
def told() -> list[str]:
    return []


@contextmanager
def serving(function: Function, routes: tuple[Route, ...] = ROUTES, **options: Any) -> Iterator[Gateway]:
    template = Template({"ToldFunction": function}, routes)
    log = function.paths[0] / "log"
    with closing(Gateway(options.pop("port", 0))) as gateway, gateway.serving(template, {}, log, **options):
        yield gateway


def connected(gateway: Gateway) -> closing[http.client.HTTPConnection]:
    return closing(http.client.HTTPConnection(HOST, gateway.port, timeout=60))


@pytest.fixture
def gateway(function: Function, told: list[str]) -> Iterator[Gateway]:
    with serving(function, tell=told.append) as gateway:
        yield gateway


@pytest.fixture
def client(gateway: Gateway) -> Iterator[http.client.HTTPConnection]:
    with connected(gateway) as client:
        yield client


def ask(
    client: http.client.HTTPConnection, path: str, method: str = "GET", **more: Any
) -> tuple[int, http.client.HTTPMessage, bytes]:
    client.request(method, path, **more)
    response = client.getresponse()
    return response.status, response.headers, response.read()


def raw(gateway: Gateway, text: bytes) -> bytes:
    with socket.create_connection((HOST, gateway.port), timeout=60) as connection:
        connection.sendall(text)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_request_becomes_the_functions_event(client: http.client.HTTPConnection) -> None:
    client.putrequest("GET", "/context/caf%C3%A9?a=1&a=2")
    client.putheader("Accept", "text/html")
    client.putheader("Accept", "text/plain")
    client.putheader("Cookie", "a=1; b=2")
    client.endheaders()
    response = client.getresponse()
    event = json.loads(response.read())["event"]
    assert event["routeKey"] == "GET /context/{name}"
    assert event["pathParameters"] == {"name": "café"}
    assert event["queryStringParameters"] == {"a": "1,2"}
    assert event["headers"]["accept"] == "text/html,text/plain"
    assert event["cookies"] == ["a=1", "b=2"]
    assert response.headers["apigw-requestid"] == event["requestContext"]["requestId"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"])
def test_any_method_reaches_the_default_route_with_its_body(client: http.client.HTTPConnection, method: str) -> None:
    _, _, body = ask(client, "/any", method, body=b'{"a": 1}', headers={"Content-Type": "application/json"})
    event = json.loads(body)["event"]
    assert (event["requestContext"]["http"]["method"], event["body"]) == (method, '{"a": 1}')


def test_head_is_answered_with_the_length_but_without_the_body(client: http.client.HTTPConnection) -> None:
    status, headers, body = ask(client, "/queries", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) == len(ask(client, "/queries")[2])


@pytest.mark.parametrize(("path", "status"), [("/empty", 204), ("/cached", 304)])
def test_answers_without_a_body_do_not_upset_the_connection(
    client: http.client.HTTPConnection, path: str, status: int
) -> None:
    answered, headers, body = ask(client, path)
    assert (answered, body) == (status, b"")
    assert "content-length" not in headers
    assert ask(client, "/queries")[0] == 200


def test_a_connection_is_kept_for_the_next_request(gateway: Gateway, client: http.client.HTTPConnection) -> None:
    ask(client, "/queries")
    kept = client.sock
    ask(client, "/queries", "POST", body=b"x" * 100_000)
    assert client.sock is kept is not None


@pytest.mark.parametrize("path", ["/nowhere", "/only/post", "/context/a/b"])
def test_without_a_route_the_gateway_says_not_found_itself(function: Function, path: str) -> None:
    with serving(function, ROUTES[:2], tell=print) as gateway, connected(gateway) as client:
        status, headers, body = ask(client, path)
    assert (status, body) == (404, b'{"message":"Not Found"}')
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/raise/boom", "ValueError: boom"),
        ("/exit/3", "the sandbox ended with status 3"),
        ("/malformed", "the answer is not of payload format 2.0"),
    ],
)
def test_a_failing_function_is_a_500_that_tells_the_caller_nothing_and_the_terminal_all(
    client: http.client.HTTPConnection, told: list[str], path: str, reason: str
) -> None:
    status, headers, body = ask(client, path)
    assert (status, body) == (500, b'{"message":"Internal Server Error"}')
    assert headers["content-type"] == "application/json"
    assert len(told) == 1
    assert told[0].startswith(f"ToldFunction: {reason}")
    assert ask(client, "/queries")[0] == 200


def test_a_function_past_its_timeout_fails_and_the_next_request_does_not(function: Function, told: list[str]) -> None:
    with serving(replace(function, timeout=5), tell=told.append) as gateway, connected(gateway) as client:
        assert ask(client, "/sleep/60")[0] == 500
        assert told == ["ToldFunction: timed out after 5.00 seconds"]
        assert ask(client, "/queries")[0] == 200


def test_past_the_gateways_own_limit_the_service_is_unavailable(
    client: http.client.HTTPConnection, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local.api.gateway, "INTEGRATION_LIMIT", 0.3)
    assert ask(client, "/sleep/60")[::2] == (503, b'{"message":"Service Unavailable"}')
    assert told == ["ToldFunction: no answer for 0 s"]


@pytest.fixture
def go(tmp_path: Path) -> Path:
    """What the handler waits for at `/await…`."""
    return tmp_path / "go"


def waiting(go: Path) -> int:
    """How many sandboxes do."""
    return len(list(go.parent.glob("go.*")))


def test_fifty_requests_at_once_are_served_by_several_sandboxes(gateway: Gateway, go: Path) -> None:
    def one(_: int) -> tuple[int, int]:
        with connected(gateway) as client:
            status, _, body = ask(client, f"/await{go}")
            return status, json.loads(body)["pid"]

    with ThreadPoolExecutor(50) as callers:
        answers = callers.map(one, range(50))
        until(lambda: waiting(go) > 1)
        go.touch()
    statuses, pids = zip(*answers, strict=True)
    assert statuses == (200,) * 50
    assert len(set(pids)) <= local.api.pool.LIMIT


def test_a_slow_request_does_not_hold_up_a_quick_one(
    gateway: Gateway, client: http.client.HTTPConnection, go: Path
) -> None:
    with ThreadPoolExecutor(1) as other:
        slow = other.submit(raw, gateway, f"GET /await{go} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
        until(lambda: waiting(go))
        assert ask(client, "/queries")[0] == 200
        assert not slow.done()
        go.touch()
        assert b" 200 OK" in slow.result()


def test_one_caller_after_the_other_stays_in_one_warm_sandbox(client: http.client.HTTPConnection) -> None:
    assert len({json.loads(ask(client, "/any")[2])["pid"] for _ in range(20)}) == 1


def test_ten_mebibytes_are_the_limit_of_a_body(client: http.client.HTTPConnection) -> None:
    limit, too_large = 10 * 1024 * 1024, (413, b'{"message":"Request Entity Too Large"}')
    assert ask(client, "/empty", "POST", body=b"x" * limit)[0] == 204
    assert ask(client, "/empty", "POST", body=b"x" * (limit + 1))[::2] == too_large


def test_a_client_that_asks_first_need_not_send_what_would_be_refused(gateway: Gateway) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    assert raw(gateway, head % (11 * 1024 * 1024)).startswith(b"HTTP/1.1 413 ")
    assert raw(gateway, (head % 2).replace(b"Host", b"Connection: close\r\nHost") + b"{}").startswith(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 "
    )


@pytest.mark.parametrize(
    ("field", "status"),
    [
        (b"Transfer-Encoding: chunked", b"411"),
        (b"Content-Length: many", b"400"),
        (b"Content-Length: -1", b"400"),
    ],
)
def test_a_body_of_unknown_length_is_refused_and_not_taken_for_the_next_request(
    gateway: Gateway, field: bytes, status: bytes
) -> None:
    answer = raw(gateway, b"POST / HTTP/1.1\r\n" + field + b"\r\n\r\nGET /exit/1 HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert answer.count(b"HTTP/1.1 ") == 1


def test_the_access_log_shows_what_the_cache_did(function: Function, told: list[str]) -> None:
    with serving(function, tell=told.append, access=True) as gateway, connected(gateway) as client:
        ask(client, "/cached?a=1")
        ask(client, "/empty")
    assert told[0].startswith("304 ")
    assert told[0].endswith(" ms  GET /cached?a=1  cacheaside; hit")


def test_an_import_error_is_told_at_the_start_and_answered_with_500(function: Function, told: list[str]) -> None:
    (function.paths[0] / "told" / "app.py").write_text("import no_such_module\n")
    with serving(function, tell=told.append) as gateway, connected(gateway) as client:
        assert "No module named 'no_such_module'" in told[0]
        assert "told/app.py:1" in told[0]
        assert ask(client, "/")[0] == 500


def test_a_taken_port_is_told_before_anything_starts() -> None:
    with closing(Gateway(0)) as first, pytest.raises(LocalError, match=f"port {first.port} is in use: .*PORT="):
        Gateway(first.port)


def test_the_port_is_free_again_at_once(function: Function) -> None:
    port = unclaimed_port()
    for _ in range(2):
        with serving(function, tell=print, port=port) as gateway, connected(gateway) as client:
            assert ask(client, "/queries")[0] == 200

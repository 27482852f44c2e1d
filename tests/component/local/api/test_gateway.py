"""The gateway over real HTTP: clients on one side, sandboxes on the other."""

import http.client
import json
import logging
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

import local.api.gateway
import local.api.pool
from local.api.gateway import Gateway
from local.errors import LocalError
from local.template import Function
from tests.component.support.gateway import ROUTES, ask, connected, raw, serving
from tests.support.ports import unclaimed_port
from tests.support.wait_until import wait_until


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
def test_after_an_answer_without_a_body_the_connection_goes_on(
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


def test_a_response_does_not_wait_for_an_acknowledgement(client: http.client.HTTPConnection) -> None:
    """Without TCP_NODELAY the kernel holds the body back until the client has acknowledged the head: 40 ms."""

    def median_s() -> float:
        moments = [time.perf_counter()]
        for _ in range(21):
            ask(client, "/queries")
            moments.append(time.perf_counter())
        return statistics.median(end - start for start, end in pairwise(moments))

    wait_until(lambda: median_s() < 0.03)


@pytest.mark.parametrize("path", ["/nowhere", "/only/post", "/context/a/b"])
def test_without_a_route_the_gateway_answers_404(function: Function, path: str) -> None:
    with serving(function, ROUTES[:2], print_line=print) as gateway, connected(gateway) as client:
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
def test_a_failing_function_is_a_500_without_details_and_its_error_is_told(
    client: http.client.HTTPConnection, told: list[str], path: str, reason: str
) -> None:
    status, headers, body = ask(client, path)
    assert (status, body) == (500, b'{"message":"Internal Server Error"}')
    assert headers["content-type"] == "application/json"
    assert len(told) == 1
    assert told[0].startswith(f"ToldFunction: {reason}")
    assert ask(client, "/queries")[0] == 200


def test_a_function_past_its_timeout_fails_and_the_next_request_does_not(function: Function, told: list[str]) -> None:
    with serving(replace(function, timeout=5), print_line=told.append) as gateway, connected(gateway) as client:
        assert ask(client, "/sleep/60")[0] == 500
        assert told == ["ToldFunction: timed out after 5.00 seconds"]
        assert ask(client, "/queries")[0] == 200


def test_a_function_past_the_gateways_limit_is_a_503(
    client: http.client.HTTPConnection, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local.api.gateway, "INTEGRATION_LIMIT", 0.3)
    assert ask(client, "/sleep/60")[::2] == (503, b'{"message":"Service Unavailable"}')
    assert told == ["ToldFunction: no answer for 0 s"]


def waiting(go: Path) -> int:
    """How many sandboxes wait for `go`."""
    return len(list(go.parent.glob("go.*")))


def test_two_hundred_requests_at_once_are_all_served_by_several_sandboxes(gateway: Gateway, go: Path) -> None:
    def one(_: int) -> tuple[int, int]:
        with connected(gateway) as client:
            status, _, body = ask(client, f"/await{go}")
            return status, json.loads(body)["pid"]

    with ThreadPoolExecutor(200) as callers:
        answers = callers.map(one, range(200))
        wait_until(lambda: waiting(go) > 1)
        go.touch()
    statuses, pids = zip(*answers, strict=True)
    assert statuses == (200,) * 200
    assert len(set(pids)) <= local.api.pool.LIMIT


def test_a_slow_request_does_not_hold_up_a_quick_one(
    gateway: Gateway, client: http.client.HTTPConnection, go: Path
) -> None:
    with ThreadPoolExecutor(1) as other:
        slow = other.submit(raw, gateway, f"GET /await{go} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        wait_until(lambda: waiting(go))
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


def test_a_body_that_would_be_refused_is_not_asked_for(gateway: Gateway) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    assert raw(gateway, head % (11 * 1024 * 1024)).startswith(b"HTTP/1.1 413 ")
    head = head.replace(b"Expect", b"Connection: close\r\nExpect")
    assert raw(gateway, head % 2 + b"{}").startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")


def test_the_access_log_shows_what_the_cache_did(function: Function, told: list[str]) -> None:
    with serving(function, print_line=told.append, access=True) as gateway, connected(gateway) as client:
        ask(client, "/cached?a=1")
        wait_until(lambda: told)
    assert told[0].startswith("304 ")
    assert told[0].endswith(" ms  GET /cached?a=1  cacheaside; hit")


def test_an_import_error_is_told_at_the_start_and_requests_are_answered_with_500(
    function: Function, told: list[str]
) -> None:
    (function.paths[0] / "told" / "app.py").write_text("import no_such_module\n")
    with serving(function, print_line=told.append) as gateway, connected(gateway) as client:
        assert "No module named 'no_such_module'" in told[0]
        assert "told/app.py:1" in told[0]
        assert ask(client, "/")[0] == 500


def test_a_taken_port_is_told_before_anything_starts() -> None:
    with closing(Gateway(0)) as first, pytest.raises(LocalError, match=f"port {first.port} is in use: .*PORT="):
        Gateway(first.port)


def test_the_port_is_free_again_at_once(function: Function) -> None:
    port = unclaimed_port()
    for _ in range(2):
        with serving(function, print_line=print, port=port) as gateway, connected(gateway) as client:
            assert ask(client, "/queries")[0] == 200


def test_it_stops_while_clients_are_connected_and_a_function_runs(
    function: Function, go: Path, told: list[str]
) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
    with ExitStack() as clients, ExitStack() as served:
        gateway = served.enter_context(serving(replace(function, timeout=900), print_line=told.append))
        ask(clients.enter_context(connected(gateway)), "/queries")
        clients.enter_context(connected(gateway)).connect()
        half = clients.enter_context(connected(gateway))
        half.connect()
        half.sock.sendall(head)
        clients.enter_context(connected(gateway)).request("GET", f"/await{go}")
        wait_until(lambda: waiting(go))
        stopping = threading.Thread(target=served.close)
        stopping.start()
        wait_until(lambda: not stopping.is_alive())
    assert told == []


def test_the_servers_own_messages_go_to_the_log_folder(
    function: Function, caplog: pytest.LogCaptureFixture, told: list[str]
) -> None:
    log = function.paths[0] / "log" / "gateway.log"
    before = list(logging.getLogger("uvicorn").handlers)  # other gateways of this process may run
    with serving(function, print_line=told.append) as gateway:
        raw(gateway, b"GET / HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\n")
    assert "Invalid HTTP request received." in log.read_text()
    assert (told, caplog.text, logging.getLogger("uvicorn").handlers) == ([], "", before)

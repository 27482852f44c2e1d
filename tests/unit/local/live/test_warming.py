"""Warming asks no more at once than it was told, and does as an overloaded API says."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from local.live.target import Target
from local.live.warming import HIT, NOT_STORED, STORED, warm
from tests.support.root import ROOT

Answer = tuple[int, dict[str, str], object]
BUSY: Answer = (503, {"Retry-After": "7"}, {"title": "Too many loads at once", "detail": "try again"})


class Api:
    """Gives the answers of a path one after the other, the last one again and again."""

    def __init__(self, answers: dict[str, list[Answer]], takes_s: float = 0) -> None:
        self.answers, self.takes_s = answers, takes_s
        self.running = self.most = 0
        self.asked: Counter[str] = Counter()
        self.lock = threading.Lock()

    def next(self, path: str) -> Answer:
        with self.lock:
            self.running += 1
            self.asked[path] += 1
            self.most = max(self.most, self.running)
            left = self.answers[path]
            answer = left.pop(0) if len(left) > 1 else left[0]
        time.sleep(self.takes_s)
        with self.lock:
            self.running -= 1
        return answer


@contextmanager
def serving(api: Api) -> Iterator[Target]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = api.next(self.path)
            data = json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield Target(url=f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()


def cached(status: str, code: int = 200) -> Answer:
    return code, {"Cache-Status": f"cacheaside; {status}"}, {}


def test_an_overloaded_api_is_asked_again_when_it_says() -> None:
    waits: list[float] = []
    with serving(Api({"/a": [BUSY, BUSY, cached("fwd=miss; stored; ttl=60")]})) as target:
        warmed = warm(target, ["/a"], 1, lambda *_: None, pause=waits.append)
    assert (warmed.answers, waits) == ({STORED: 1}, [7.0, 7.0])
    assert not warmed.failures


def test_an_api_that_stays_overloaded_is_a_failure_after_five_attempts() -> None:
    waits: list[float] = []
    with serving(Api({"/a": [BUSY]})) as target:
        warmed = warm(target, ["/a"], 1, lambda *_: None, pause=waits.append)
    assert warmed.failures == {"Too many loads at once": 1}
    assert warmed.examples == {"Too many loads at once": "/a: try again"}
    assert len(waits) == 4


def test_failures_are_counted_by_their_title_and_not_asked_again() -> None:
    bad = (400, {}, {"title": "Parameters are missing or wrong", "detail": "id must be at least 1"})
    forbidden = (403, {}, {"message": "Forbidden"})
    unknown = (404, {}, {"title": "There is no query or command of this name"})
    waits: list[float] = []
    with serving(Api({"/a": [bad], "/b": [bad], "/c": [forbidden], "/d": [unknown]})) as target:
        warmed = warm(target, ["/a", "/b", "/c", "/d"], 2, lambda *_: None, pause=waits.append)
    assert warmed.failures == {
        "Parameters are missing or wrong": 2,
        "Forbidden": 1,
        "There is no query or command of this name": 1,
    }
    assert not waits


def test_answers_are_counted_by_what_became_of_them() -> None:
    answers = {
        "/hit": [cached("hit; ttl=42")],
        "/miss": [cached("fwd=miss; stored; ttl=60")],
        "/none": [cached("fwd=miss; stored; ttl=60", 404)],
        "/waited": [cached("fwd=miss; collapsed")],
        "/bypass": [cached("fwd=bypass")],
    }
    with serving(Api(answers)) as target:
        warmed = warm(target, [*answers], 2, lambda *_: None)
    assert warmed.answers == {HIT: 1, STORED: 3, NOT_STORED: 1}


def test_no_more_are_asked_at_once_than_told() -> None:
    api = Api({"/a": [cached("hit")]}, takes_s=0.05)
    done: list[tuple[int, int]] = []
    with serving(api) as target:
        warm(target, ["/a"] * 12, 3, lambda *at: done.append(at))
    assert api.most == 3
    assert done[-1] == (12, 12)


def test_after_an_interrupt_nobody_waits_for_the_api_to_recover() -> None:
    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    api = Api({"/hit": [cached("hit")], "/busy": [BUSY]}, takes_s=0.05)
    with serving(api) as target, pytest.raises(KeyboardInterrupt):
        warm(target, ["/busy", "/hit"], 2, interrupt)
    assert api.asked == {"/hit": 1, "/busy": 1}


def test_after_an_interrupt_nobody_waits_for_a_request_that_runs() -> None:
    code = (
        "import socket\n"
        "from local.live.target import Target\n"
        "from local.live.warming import warm\n"
        "silent = socket.create_server(('127.0.0.1', 0))\n"
        "def interrupt(*_):\n"
        "    raise KeyboardInterrupt\n"
        "warm(Target(url=f'http://127.0.0.1:{silent.getsockname()[1]}'), ['/a', 'x:y'], 2, interrupt)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=50, check=False
    )
    assert "KeyboardInterrupt" in ended.stderr, ended.stderr


def test_an_api_that_is_gone_is_a_failure_and_no_traceback() -> None:
    with serving(Api({})) as target:
        pass
    assert warm(target, ["/a"], 1, lambda *_: None).failures == {"no answer": 1}

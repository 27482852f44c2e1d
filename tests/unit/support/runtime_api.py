"""A stand-in for Lambda's Extensions API: an extension registers with it, and asks it for events."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue

from cacheaside.runtime.after_response import AfterResponse

__all__ = ["Context", "Runtime", "logging_handler", "serving"]


class Runtime(ThreadingHTTPServer):
    """The two endpoints of the API. `log` lists the calls to them. Handlers and tasks write to it too."""

    daemon_threads = True

    def __init__(self, register_status: int = 200, identifier: str | None = "the-id") -> None:
        super().__init__(("127.0.0.1", 0), _Call)
        self.register_status, self.identifier = register_status, identifier
        self.registrations: list[tuple[str, object]] = []
        self.log: list[str] = []
        self.events: SimpleQueue[int] = SimpleQueue()

    @property
    def environment(self) -> dict[str, str]:
        return {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.server_port}"}

    def invoke(self, status: int = 200) -> None:
        """Answer the next request for an event, which may have come already."""
        self.events.put(status)

    def await_log(self, *log: str) -> None:
        deadline = time.monotonic() + 60
        while self.log != list(log):
            assert time.monotonic() < deadline, self.log
            time.sleep(0.005)


class _Call(BaseHTTPRequestHandler):
    server: Runtime

    def do_POST(self) -> None:
        assert self.path == "/2020-01-01/extension/register"
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.registrations.append((self.headers["Lambda-Extension-Name"], body))
        self.server.log.append("register")
        self._answer(self.server.register_status)

    def do_GET(self) -> None:
        assert self.path == "/2020-01-01/extension/event/next"
        assert self.headers["Lambda-Extension-Identifier"] == self.server.identifier
        self.server.log.append("next")
        self._answer(self.server.events.get())

    def _answer(self, status: int) -> None:
        self.send_response(status)
        if self.server.identifier:
            self.send_header("Lambda-Extension-Identifier", self.server.identifier)
        self.end_headers()
        self.wfile.write(b'{"errorType": "Extension.NotToday"}' if status != 200 else b"{}")

    def log_message(self, *args: object) -> None:
        return


class Context:
    """The context of an invocation. By default it has a second left."""

    def __init__(self, left_ms: int = 1000) -> None:
        self.left_ms = left_ms

    def get_remaining_time_in_millis(self) -> int:
        return self.left_ms


@contextmanager
def serving(runtime: Runtime) -> Iterator[Runtime]:
    with runtime:
        threading.Thread(target=runtime.serve_forever, args=[0.02], daemon=True).start()
        yield runtime
        runtime.shutdown()


Handler = Callable[[object, Context], str]


def logging_handler(runtime: Runtime, queue: AfterResponse, *tasks: Callable[[], object], needs_ms: int = 0) -> Handler:
    """Return a handler that submits `tasks`, and then logs that it has run."""

    @queue.wrap
    def handler(_event: object, _context: Context) -> str:
        for task in tasks:
            queue.submit(task, needs_ms=needs_ms)
        runtime.log.append("handler")
        return "answer"

    return handler

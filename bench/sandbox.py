"""A function in a process of its own, run by AWS's own runtime client for Python, as in Lambda.

This process is the other side: Lambda's Runtime API and, for one internal extension, its Extensions API. So the CPU,
the memory and the log of the sandbox are those of the function and its runtime client, and of nothing else.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

from bench.query_stack import QueryStack
from bench.servers import ROOT
from local.servers.processes import HOST

__all__ = ["Sandbox", "cpu_ns", "peak_kib"]

_PATIENCE_S: Final = 60.0
_TIMEOUT_MS: Final = 29_000
_ARN: Final = "arn:aws:lambda:us-east-1:123456789012:function:query"


class Sandbox:
    """Runs within a `with` block, which begins when the function's module is imported."""

    def __init__(
        self, stack: QueryStack, handler: str = "query.app.handler", python: str | Path = sys.executable
    ) -> None:
        """`stack` has the environment of the function. `python` has the layer's packages and the runtime client."""
        self.log = stack.folder / f"sandbox-{uuid4()}.log"
        self._stack = stack
        self._handler = handler
        self._python = python
        self._api = _Api()

    def __enter__(self) -> Self:
        Thread(target=self._api.serve_forever, daemon=True).start()
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [self._python, "-m", "awslambdaric", self._handler],
                cwd=self._stack.functions,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._api.await_ready(self._process)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        self._api.shutdown()
        self._api.server_close()

    def invoke(self, event: Any) -> dict[str, Any]:
        """Return the function's response. When this returns, the sandbox waits for the next event, and does nothing."""
        answer: dict[str, Any] = self.outcome(event)
        assert "errorType" not in answer, answer
        return answer

    def outcome(self, event: Any) -> Any:
        """Return what `invoke` does, also of a function that returns nothing, or the error with which it ended."""
        answer = json.loads(self._api.invoke(json.dumps(event).encode()))
        self._api.await_ready(self._process)
        return answer

    @property
    def cpu_ns(self) -> int:
        """The CPU time of the process so far."""
        return cpu_ns(self._process.pid)

    @property
    def peak_kib(self) -> int:
        """The most memory that the process has used so far."""
        return peak_kib(self._process.pid)

    def _environment(self) -> dict[str, str]:
        """Return the variables of the function, and those that Lambda sets and its runtime client needs."""
        of_python = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPYCACHEPREFIX")}
        return {
            **of_python,
            **self._stack.environment,
            "PYTHONPATH": os.pathsep.join(map(str, (self._stack.functions, ROOT / "layers" / "cacheaside", ROOT))),
            "LANG": "C.UTF-8",
            "TZ": ":UTC",
            "_HANDLER": self._handler,
            "LAMBDA_TASK_ROOT": str(self._stack.functions),
            "AWS_LAMBDA_RUNTIME_API": f"{HOST}:{self._api.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": self._handler.partition(".")[0],
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/bench",
            "AWS_LAMBDA_LOG_STREAM_NAME": "bench",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_REGION": "us-east-1",
        }


def cpu_ns(pid: int) -> int:
    """Return the CPU time of process `pid` so far. Linux has a clock for each process, with this number."""
    return time.clock_gettime_ns(~pid << 3 | 2)


def peak_kib(pid: int | str) -> int:
    """Return the most memory that process `pid` has used so far, as Linux counts it: VmHWM in proc(5)."""
    found = re.search(r"^VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


class _Api(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((HOST, 0), _Call)
        self.extended = False  # whether the function has registered an extension
        self.asked: SimpleQueue[str] = SimpleQueue()  # who waits for the next event
        self.events: SimpleQueue[bytes] = SimpleQueue()
        self.begun: SimpleQueue[bytes] = SimpleQueue()  # for the extension
        self.answers: SimpleQueue[bytes] = SimpleQueue()

    def await_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Return when runtime client and extension have asked for the next event."""
        until = time.monotonic() + _PATIENCE_S
        waiting = set()
        while "runtime" not in waiting or (self.extended and "extension" not in waiting):
            assert process.poll() is None, "the sandbox has ended"
            assert time.monotonic() < until, "the sandbox is not ready"
            try:
                waiting.add(self.asked.get(timeout=1))
            except Empty:
                continue

    def invoke(self, event: bytes) -> bytes:
        self.events.put(event)
        if self.extended:
            self.begun.put(json.dumps({"eventType": "INVOKE"}).encode())
        return self.answers.get(timeout=_PATIENCE_S)


class _Call(BaseHTTPRequestHandler):
    server: _Api
    protocol_version = "HTTP/1.1"
    # Head and body leave together and at once. In two packets, each call would wait for a delayed ACK.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path == "/2018-06-01/runtime/invocation/next":
            self.server.asked.put("runtime")
            self._answer(200, self.server.events.get(), self._invocation())
        elif self.path == "/2020-01-01/extension/event/next":
            self.server.asked.put("extension")
            self._answer(200, self.server.begun.get(), {})
        else:
            self._answer(404, b"{}", {})

    def do_POST(self) -> None:
        body = self._body()
        if self.path == "/2020-01-01/extension/register":
            self.server.extended = True
            self._answer(200, b"{}", {"Lambda-Extension-Identifier": str(uuid4())})
        else:  # the response or the error of an invocation, or that of the import
            self._answer(202, b"{}", {})
            self.server.answers.put(body)

    def _body(self) -> bytes:
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"] or 0))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _invocation(self) -> dict[str, str]:
        return {
            "Lambda-Runtime-Aws-Request-Id": str(uuid4()),
            "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + _TIMEOUT_MS),
            "Lambda-Runtime-Invoked-Function-Arn": _ARN,
        }

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Print nothing."""

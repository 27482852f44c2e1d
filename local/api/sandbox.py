"""The process in which a function runs: `sandbox.py CHANNEL LIFELINE HANDLER`, started by `local.api.pool`.

As in Lambda, the handler is imported once and serves one request at a time, and its modules keep their state. Events
and answers go through the channel, a socket, so that all that the function prints is in its log. This file uses only
the standard library, because it must not change what the function can import.

If the function registers an extension, a second line {"settled": true} follows each answer: the extension has asked
for the next event.
"""

import contextlib
import importlib
import io
import json
import os
import signal
import socket
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from queue import SimpleQueue
from socketserver import ThreadingTCPServer
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Context:
    aws_request_id: str
    deadline: float
    function_name: str
    function_version: str
    memory_limit_in_mb: str  # text, as the real runtime gives it
    invoked_function_arn: str
    log_group_name: str
    log_stream_name: str
    identity: None = None
    client_context: None = None

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self.deadline - time.monotonic()) * 1000))


def main(channel_fd: int, lifeline_fd: int, handler_name: str) -> None:
    sys.stdout = sys.__stdout__ = _log(1)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _log(2)  # type: ignore[misc]
    os.set_inheritable(channel_fd, False)
    os.set_inheritable(lifeline_fd, False)
    threading.Thread(target=_end_with_owner, args=[lifeline_fd], daemon=True).start()
    extensions = _ExtensionsApi()
    with socket.socket(fileno=channel_fd).makefile("rw", encoding="utf-8", newline="\n") as channel:
        try:
            handler = _load(handler_name)
        except BaseException as error:
            traceback.print_exc()
            print(json.dumps({"error": _described(error)}), file=channel, flush=True)
            return
        extended = extensions.end_init()
        print(json.dumps({"ready": True, "extended": extended}), file=channel, flush=True)
        for line in channel:
            message = json.loads(line)
            if extended:
                extensions.invoke(message)
            print(_serve(handler, message), file=channel, flush=True)
            if extended:
                extensions.settle()
                print(json.dumps({"settled": True}), file=channel, flush=True)


class _Log(io.FileIO):
    """Drops what cannot be written. The log of Lambda never fails a function; the disk of this one may be full."""

    def write(self, data: Any) -> int:
        with contextlib.suppress(OSError):
            super().write(data)
        return len(data)


def _log(fd: int) -> io.TextIOWrapper:
    raw: Any = _Log(fd, "w", closefd=False)  # as with PYTHONUNBUFFERED: without a buffer between
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


class _ExtensionsApi(ThreadingTCPServer):
    """The part of Lambda's Extensions API that one internal extension needs, at AWS_LAMBDA_RUNTIME_API.

    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _ExtensionsCall)
        self.open = True  # to one registration, during init
        self.identifier = str(uuid.uuid4())
        self.registered = False
        self.asked: SimpleQueue[None] = SimpleQueue()
        self.events: SimpleQueue[Json] = SimpleQueue()
        threading.Thread(target=self.serve_forever, args=[3600], daemon=True).start()  # 3600: no need to poll
        os.environ["AWS_LAMBDA_RUNTIME_API"] = "{}:{}".format(*self.server_address)

    def end_init(self) -> bool:
        """Return whether there is an extension. If so, it is ready for its first event."""
        self.open = False
        if self.registered:
            self.settle()
        return self.registered

    def invoke(self, message: Json) -> None:
        deadline_ms = int((time.time() + message["deadline"] - time.monotonic()) * 1000)  # since the epoch
        self.events.put({"eventType": "INVOKE", "requestId": message["request_id"], "deadlineMs": deadline_ms})

    def settle(self) -> None:
        """Return when the extension asks for the next event."""
        self.asked.get()


class _ExtensionsCall(BaseHTTPRequestHandler):
    server: _ExtensionsApi

    def do_POST(self) -> None:
        events = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)))["events"]
        if self.path != "/2020-01-01/extension/register" or events != ["INVOKE"] or not self.server.open:
            return self._answer(403, {"errorType": "Extension.RegistrationRefused"})
        self.server.open, self.server.registered = False, True
        return self._answer(200, {"functionName": os.environ["AWS_LAMBDA_FUNCTION_NAME"]})

    def do_GET(self) -> None:
        if self.headers["Lambda-Extension-Identifier"] != self.server.identifier:
            return self._answer(403, {"errorType": "Extension.UnknownExtensionIdentifier"})
        self.server.asked.put(None)
        return self._answer(200, self.server.events.get())

    def _answer(self, status: int, body: Json) -> None:
        self.send_response(status)
        self.send_header("Lambda-Extension-Identifier", self.server.identifier)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *args: Any) -> None:
        """Keep these requests out of the function's log."""


def _load(name: str) -> Callable[[Any, Context], Any]:
    module, _, attribute = name.rpartition(".")
    handler: Callable[[Any, Context], Any] = getattr(importlib.import_module(module.replace("/", ".")), attribute)
    return handler


def _serve(handler: Callable[[Any, Context], Any], message: Json) -> str:
    """Return one line of JSON, also for an exception. SystemExit and the like end the sandbox, as in Lambda."""
    try:
        return json.dumps({"result": handler(message["event"], _context(message))})
    except Exception as error:
        traceback.print_exc()
        return json.dumps({"error": _described(error)})


def _context(message: Json) -> Context:
    region, name = os.environ["AWS_REGION"], os.environ["AWS_LAMBDA_FUNCTION_NAME"]
    return Context(
        aws_request_id=message["request_id"],
        deadline=message["deadline"],
        function_name=name,
        function_version=os.environ["AWS_LAMBDA_FUNCTION_VERSION"],
        memory_limit_in_mb=os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"],
        invoked_function_arn=f"arn:aws:lambda:{region}:123456789012:function:{name}",
        log_group_name=os.environ["AWS_LAMBDA_LOG_GROUP_NAME"],
        log_stream_name=os.environ["AWS_LAMBDA_LOG_STREAM_NAME"],
    )


def _described(error: BaseException) -> str:
    """The exception and the line that raised it, for the terminal. The log has the traceback."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    written = [frame for frame in frames if "importlib" not in frame.filename]
    place = f" ({written[-1].filename}:{written[-1].lineno})" if written else ""
    cause = f": {' '.join(str(error.__cause__).split())}" if error.__cause__ else ""
    return f"{type(error).__name__}: {error}{cause}{place}"


def _end_with_owner(lifeline_fd: int) -> None:
    """End this process group when the owner ends: the system then closes the other end of the pipe."""
    os.read(lifeline_fd, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])

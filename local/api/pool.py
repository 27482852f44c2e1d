"""The sandboxes of one function: Lambda's side of an invocation."""

import contextlib
import json
import math
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.template import Function

__all__ = ["CallerTimeout", "FunctionFailed", "Pool"]

Json = dict[str, Any]

LIMIT = 16
INIT_LIMIT = 60.0
ANSWER_LIMIT = 6 * 1024 * 1024  # Lambda's, for a synchronous answer
SETTLE_PATIENCE = 0.1  # how long to hope for a sandbox that has answered, before a new one is started
SANDBOX = Path(__file__).with_name("sandbox.py")


class FunctionFailed(Exception):
    """The function raised, died, took too long or answered too much. The caller gets a 500, its log the message."""


class CallerTimeout(Exception):
    """The caller would wait no longer."""


class Pool:
    """Grows by a sandbox when all are busy, up to `limit`; further requests wait. The warmest sandbox goes first.

    A sandbox that has answered stays busy until its extension, if it has one, is done too: it settles.
    """

    def __init__(self, function: Function, environment: Mapping[str, str], log: Path, *, limit: int = LIMIT) -> None:
        """`environment` overrides what the template gives the function."""
        self._function = function
        self._environment = {**_environment(function), **function.environment, **environment}
        self._log = log
        self._places = threading.BoundedSemaphore(limit)
        self._idle: queue.LifoQueue[_Sandbox] = queue.LifoQueue()
        self._settling: set[_Sandbox] = set()
        self._all: set[_Sandbox] = set()
        self._starting = threading.Lock()
        self._closed = False

    def invoke(self, event: Any, patience: float = math.inf) -> Any:
        """The function's answer. Raises `FunctionFailed`, or `CallerTimeout` after `patience` seconds."""
        until = time.monotonic() + patience
        if not self._places.acquire(timeout=min(patience, threading.TIMEOUT_MAX)):
            raise CallerTimeout("all sandboxes stayed busy")
        try:
            sandbox = self._take()
            try:
                answer = sandbox.serve(event, until)
            except BaseException:
                self._discard(sandbox)
                raise
        except BaseException:
            self._places.release()
            raise
        if sandbox.extended:
            self._settling.add(sandbox)
            threading.Thread(target=self._settle, args=[sandbox], daemon=True).start()
        else:
            self._settle(sandbox)
        if "error" in answer:
            raise FunctionFailed(answer["error"])
        return answer["result"]

    def warm(self) -> None:
        """Import the handler before the first request does. Raises `FunctionFailed`."""
        self._idle.put(self._grow())

    def close(self) -> None:
        """Kill all sandboxes, busy or idle. No other starts from now on."""
        with self._starting:
            self._closed = True
        for sandbox in list(self._all):
            sandbox.kill()
        with contextlib.suppress(queue.Empty):
            while True:
                self._discard(self._idle.get_nowait())

    def _take(self) -> "_Sandbox":
        try:
            # Most extensions are done a moment after the answer, and a caller may be as quick with the next request.
            return self._idle.get(timeout=SETTLE_PATIENCE if self._settling else 0)
        except queue.Empty:
            return self._grow()

    def _settle(self, sandbox: "_Sandbox") -> None:
        """Give the sandbox and its place back, when it is ready for the next request."""
        try:
            sandbox.settle()
            self._idle.put(sandbox)
        except FunctionFailed as failure:
            self._discard(sandbox)
            if not self._closed:
                with self._log.open("a") as log:
                    print(f"after the response: {failure}", file=log)
        finally:
            self._settling.discard(sandbox)
            self._places.release()

    def _grow(self) -> "_Sandbox":
        with self._starting:
            if self._closed:
                raise FunctionFailed("the stack is stopping")
            try:
                sandbox = _Sandbox(self._function, self._environment, self._log)
            except OSError as error:
                raise FunctionFailed(f"no sandbox can be started: {error}") from None
            self._all.add(sandbox)
        try:
            sandbox.await_ready()
        except BaseException:
            self._discard(sandbox)
            raise
        return sandbox

    def _discard(self, sandbox: "_Sandbox") -> None:
        sandbox.kill()
        sandbox.close()
        self._all.discard(sandbox)


class _Sandbox:
    """One process, from the outside. Any exception from here means that it is of no further use."""

    def __init__(self, function: Function, environment: Mapping[str, str], log: Path) -> None:
        self.extended = False  # whether the function has registered an extension
        self._timeout = function.timeout
        self._deadline = 0.0
        self._killed = False
        self._socket, theirs = socket.socketpair()
        self._channel = self._socket.makefile("rw", encoding="utf-8", newline="\n")
        their_lifeline, lifeline = os.pipe()
        self._lifeline = os.fdopen(lifeline, "wb", buffering=0)
        log.parent.mkdir(parents=True, exist_ok=True)
        fds = theirs.fileno(), their_lifeline
        with theirs, log.open("ab") as output:
            self._process = subprocess.Popen(
                # -P: the folder of sandbox.py must not be on the path of the function.
                [sys.executable, "-P", SANDBOX, *map(str, fds), function.handler],
                cwd=function.paths[0],
                env=dict(environment),
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a group of its own, to end with all it has started
            )
        os.close(their_lifeline)

    def await_ready(self) -> None:
        """Return once the handler is imported."""
        self._socket.settimeout(INIT_LIMIT)
        try:
            answer = self._receive()
        except TimeoutError:
            raise FunctionFailed(f"the import of the handler took longer than {INIT_LIMIT:.0f} s") from None
        if "error" in answer:
            raise FunctionFailed(f"the handler cannot be imported: {answer['error']}")
        self.extended = answer["extended"]

    def serve(self, event: Any, until: float) -> Json:
        """{"result": …} or {"error": …}. Lambda would let a request run on that the caller waits for no longer (it is
        past `until`); here its sandbox ends with it.
        """
        message = {"event": event, "request_id": str(uuid.uuid4()), "deadline": time.time() + self._timeout}
        self._deadline = time.monotonic() + self._timeout
        remaining = max(until - time.monotonic(), 0.001)
        self._socket.settimeout(min(self._timeout, remaining))
        try:
            self._channel.write(json.dumps(message) + "\n")
            self._channel.flush()
            return self._receive()
        except TimeoutError:
            if remaining < self._timeout:
                raise CallerTimeout("no answer") from None
            raise self._out_of_time() from None
        except OSError:
            raise self._death() from None

    def settle(self) -> None:
        """Return once the extension, if there is one, has asked for the next event: within the function's timeout."""
        if not self.extended:
            return
        self._socket.settimeout(max(self._deadline - time.monotonic(), 0.001))
        try:
            self._receive()
        except TimeoutError:
            raise self._out_of_time() from None
        except OSError:
            raise self._death() from None

    def kill(self) -> None:
        if self._killed:
            return
        self._killed = True
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: not permitted for a zombie
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what was written to a dead sandbox cannot be flushed
            self._channel.close()
        self._socket.close()
        self._lifeline.close()

    def _receive(self) -> Json:
        line = self._channel.readline()
        if not line:
            raise self._death()
        answer: Json = json.loads(line)
        if len(line) > ANSWER_LIMIT and (size := _size(answer.get("result"))) > ANSWER_LIMIT:
            return {"error": f"the answer has {size:,} bytes, more than Lambda's limit of {ANSWER_LIMIT:,}"}
        return answer

    def _out_of_time(self) -> FunctionFailed:
        return FunctionFailed(f"timed out after {self._timeout:.2f} seconds")

    def _death(self) -> FunctionFailed:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        return FunctionFailed(f"the sandbox ended with status {self._process.returncode}")


def _size(answer: Any) -> int:
    """In bytes, as the runtime sends it. On our channel, where all but ASCII is escaped, it is never smaller."""
    return len(json.dumps(answer, ensure_ascii=False).encode(errors="surrogatepass"))


def _environment(function: Function) -> dict[str, str]:
    """What Lambda gives every function, and no more of this machine's environment than Python needs to start."""
    prefix = os.environ.get("PYTHONPYCACHEPREFIX")
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": os.pathsep.join(str(path) for path in function.paths),
        "PYTHONUNBUFFERED": "1",
        # functions/ is packaged as it lies there: bytecode beside the code would be shipped.
        **({"PYTHONPYCACHEPREFIX": str(Path(prefix).resolve())} if prefix else {"PYTHONDONTWRITEBYTECODE": "1"}),
        "_HANDLER": function.handler,
        "AWS_REGION": (region := os.environ.get("AWS_REGION", "us-east-1")),
        "AWS_DEFAULT_REGION": region,
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        "LAMBDA_TASK_ROOT": str(function.paths[0]),
    }

"""Invokes one function in a pool of sandboxes, as Lambda does."""

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
INIT_LIMIT = 60.0  # seconds
ANSWER_LIMIT = 6 * 1024 * 1024  # Lambda's, for a synchronous answer
STATUS_LIMIT = 30.0  # seconds until a sandbox has ended whose channel is closed: a busy machine takes some
SETTLE_PATIENCE = 0.1  # seconds to wait for a sandbox that has answered before a new one is started
SANDBOX = Path(__file__).with_name("sandbox.py")


class FunctionFailed(Exception):
    """The function raised, died, timed out or answered too much. The terminal gets the message, the caller 500."""


class CallerTimeout(Exception):
    """The caller's patience ended before the answer came."""


class Pool:
    """Starts a sandbox when all are busy, up to `limit`. Further requests wait. The last sandbox used is used first.

    A sandbox that has answered *settles*: it is busy until its extension, if it has one, is done too.
    """

    def __init__(self, function: Function, environment: Mapping[str, str], log: Path, *, limit: int = LIMIT) -> None:
        """`environment` overrides the variables of the template."""
        self._function = function
        self._environment = {**_environment(function), **function.environment, **environment}
        self._log = log
        self._places = threading.BoundedSemaphore(limit)
        self._idle: queue.LifoQueue[_Sandbox] = queue.LifoQueue()
        self._settling: set[_Sandbox] = set()
        self._all: set[_Sandbox] = set()
        self._starting = threading.Lock()
        self._generation = 0
        self._closed = False

    def invoke(self, event: Any, patience: float = math.inf) -> Any:
        """Return the function's answer. Raises `FunctionFailed`, or `CallerTimeout` after `patience` seconds."""
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

    def renew(self) -> None:
        """Have every later request served by a sandbox that starts after this call. Busy ones answer their request."""
        with self._starting:
            self._generation += 1
        self._discard_idle()

    @property
    def pids(self) -> list[int]:
        """The processes of the sandboxes that run now, busy or idle."""
        return [sandbox.pid for sandbox in list(self._all) if sandbox.alive]

    def close(self) -> None:
        """Kill all sandboxes, busy or idle, and start no more."""
        with self._starting:
            self._closed = True
        for sandbox in list(self._all):
            sandbox.kill()
        self._discard_idle()

    def _take(self) -> "_Sandbox":
        try:
            while True:
                # Most extensions end shortly after the answer. A quick caller may send the next request even sooner.
                sandbox = self._idle.get(timeout=SETTLE_PATIENCE if self._settling else 0)
                if sandbox.generation == self._generation and sandbox.alive:  # Lambda invokes no dead one either
                    return sandbox
                self._discard(sandbox)
        except queue.Empty:
            return self._grow()

    def _settle(self, sandbox: "_Sandbox") -> None:
        """Wait until the sandbox is ready for the next request, then give it and its place back."""
        try:
            sandbox.settle()
            self._idle.put(sandbox)
        except FunctionFailed as failure:
            self._discard(sandbox)
            if not self._closed:
                with contextlib.suppress(OSError), self._log.open("a") as log:  # the disk may be full
                    print(f"after the response: {failure}", file=log)
        finally:
            self._settling.discard(sandbox)
            self._places.release()

    def _grow(self) -> "_Sandbox":
        with self._starting:
            if self._closed:
                raise FunctionFailed("the stack is stopping")
            try:
                sandbox = _Sandbox(self._function, self._environment, self._log, self._generation)
            except OSError as error:
                raise FunctionFailed(f"no sandbox can be started: {error}") from None
            self._all.add(sandbox)
        try:
            sandbox.await_ready()
        except BaseException:
            self._discard(sandbox)
            raise
        return sandbox

    def _discard_idle(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._discard(self._idle.get_nowait())

    def _discard(self, sandbox: "_Sandbox") -> None:
        sandbox.kill()
        sandbox.close()
        self._all.discard(sandbox)


class _Sandbox:
    """The process of a sandbox, seen from the pool. After any exception it must be discarded."""

    def __init__(self, function: Function, environment: Mapping[str, str], log: Path, generation: int) -> None:
        self.generation = generation
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
                # -P keeps the folder of sandbox.py off the function's path.
                [sys.executable, "-P", SANDBOX, *map(str, fds), function.handler],
                cwd=function.paths[0],
                env=dict(environment),
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # its own process group, so that its children are killed with it
            )
        os.close(their_lifeline)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended while it was idle, as by a lack of memory."""
        return self._process.poll() is None

    def await_ready(self) -> None:
        """Return when the handler is imported."""
        self._socket.settimeout(INIT_LIMIT)
        try:
            answer = self._receive()
        except TimeoutError:
            raise FunctionFailed(f"the import of the handler took longer than {INIT_LIMIT:.0f} s") from None
        if "error" in answer:
            raise FunctionFailed(f"the handler cannot be imported: {answer['error']}")
        self.extended = answer["extended"]

    def serve(self, event: Any, until: float) -> Json:
        """Return {"result": …} or {"error": …}. Raises `CallerTimeout` at `until`.

        The pool then kills the sandbox. Lambda would let the invocation end.
        """
        self._deadline = time.monotonic() + self._timeout
        message = {"event": event, "request_id": str(uuid.uuid4()), "deadline": self._deadline}
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
        """Return when the extension, if there is one, asks for the next event. The function's timeout counts on."""
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
        with contextlib.suppress(OSError):  # a dead sandbox: buffered text cannot be flushed
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
            self._process.wait(STATUS_LIMIT)
        return FunctionFailed(f"the sandbox ended with status {self._process.returncode}")


def _size(answer: Any) -> int:
    """The size in bytes as Lambda's runtime sends it. Escaped to ASCII, as on our channel, it is no smaller."""
    return len(json.dumps(answer, ensure_ascii=False).encode(errors="surrogatepass"))


def _environment(function: Function) -> dict[str, str]:
    """The variables that Lambda sets, and of this machine's environment only what Python needs to start."""
    prefix = os.environ.get("PYTHONPYCACHEPREFIX")
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": os.pathsep.join(str(path) for path in function.paths),
        "PYTHONUNBUFFERED": "1",
        # Bytecode beside the code of functions/ would look to `sam build` like a change of its sources.
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

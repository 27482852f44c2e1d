"""Tasks that run after the response was sent, while an internal Lambda extension keeps the sandbox awake.

Lambda freezes a sandbox when its runtime and all its extensions have asked for the next event, and sends the event only
after that. An internal extension is a thread of the function's own process, registered during init. This one asks when
the tasks of the invocation are done, so the sandbox stays awake until then and no longer:

    runtime    next ► handler ► response ► next ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄► handler ► …
                              └ ended ┐    the caller has its answer      ▒ frozen ▒ │
    extension  next ┄┄► INVOKE ┄┄┄┄┄┄┄┴► task ► task ► next ┄┄┄┄┄┄┄┄┄┄┄┄┄▒┄┄┄┄┄┄┄┄▒┄┴► INVOKE ► …

So Lambda never runs a task and the next handler at the same time, and both may use the same connections. `wrap` does
not rely on that: before the handler, it waits for the tasks of earlier invocations.

A task starts when the handler has returned, while the runtime sends the response. So a task should mostly wait, and
compute little. Tasks count against the function's timeout. When it is over, Lambda kills the sandbox. A task that
declares how long it needs is not started if less time is left.

With SnapStart, the thread waits for its event while Lambda takes the snapshot, as the runtime does. Lambda takes it
only when every registered extension has asked, and the snapshot contains both the server and the socket. This follows
from the snapshot code of Lambda's emulator (its rapid/start.go). No document promises it. If the socket is dead after a
restore, the first invocation runs its tasks inline, as after any other failure to get an event.

The API: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html. Standard library only.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from http.client import HTTPConnection, HTTPException, HTTPResponse
from queue import Queue
from threading import Thread
from typing import Final, NamedTuple, Protocol, TypeVar

__all__ = ["AfterResponse", "InvocationContext"]

_E = TypeVar("_E")
_C = TypeVar("_C", bound="InvocationContext")
_R = TypeVar("_R")

_NAME: Final = "cacheaside"
_API: Final = "/2020-01-01/extension"
_IDENTIFIER: Final = "Lambda-Extension-Identifier"
_REGISTER_S: Final = 2.0  # the API is in the sandbox itself, and init as a whole has 10 s

_log = logging.getLogger(__name__)


class InvocationContext(Protocol):
    """The part of a handler's context that tasks need."""

    def get_remaining_time_in_millis(self) -> int: ...


class AfterResponse:
    """A queue of tasks, which run one after the other when the handler has ended.

    `inline`: they run before the response is sent, because no extension keeps the sandbox awake.
    `dropped`: the number of tasks that were not started because too little time was left.
    """

    def __init__(self) -> None:
        """Run tasks inline. `start` runs them after the response."""
        self.inline = True
        self.dropped = 0
        # Handler and thread never use it at once: the handler joins `_ended` before, and puts into it after.
        self._tasks: deque[_Task] = deque()
        self._ended: Queue[Callable[[], int]] = Queue()  # one item for each ended handler: it returns the ms left

    @classmethod
    def start(cls, environment: Mapping[str, str]) -> AfterResponse:
        """Register with Lambda. Must be called once, during init: Lambda refuses a later registration.

        Never raises. Outside Lambda, or if Lambda refuses, tasks run inline.
        """
        after_response = cls()
        if address := environment.get("AWS_LAMBDA_RUNTIME_API"):
            try:
                extension = _Extension.register(address)
            except (OSError, HTTPException) as error:
                _log.warning("tasks will delay the response: no extension could be registered: %r", error)
            else:
                after_response.inline = False
                Thread(target=after_response._loop, args=[extension], name="after-response", daemon=True).start()
        return after_response

    def submit(
        self, task: Callable[[], object], *, needs_ms: int = 0, on_drop: Callable[[], object] = lambda: None
    ) -> None:
        """Run `task` after the response of the current invocation, or `on_drop` if less than `needs_ms` is left then.

        An exception of either is logged. A task may submit another one.
        """
        self._tasks.append(_Task(task, needs_ms, on_drop))

    def wrap(self, handler: Callable[[_E, _C], _R]) -> Callable[[_E, _C], _R]:
        """Decorate the handler, as the outermost decorator. Tasks start when it returns or raises."""

        @wraps(handler)
        def wrapped(event: _E, context: _C) -> _R:
            self._ended.join()
            try:
                return handler(event, context)
            finally:
                if self.inline:
                    self._run_tasks(context.get_remaining_time_in_millis)
                else:
                    self._ended.put(context.get_remaining_time_in_millis)

        return wrapped

    def _loop(self, extension: _Extension) -> None:
        """Run the thread. Each INVOKE belongs to one call of the handler. The call may end before INVOKE arrives."""
        while True:
            if not self.inline:
                try:
                    extension.await_invoke()
                except (OSError, HTTPException) as error:
                    # Nothing asks for events now, so Lambda replaces the sandbox when the function's timeout is over.
                    # Until then, this thread still runs tasks that wait for it. Later handlers run their own.
                    self.inline = True
                    _log.error("tasks will delay the response: the extension got no event: %r", error)
            time_left_ms = self._ended.get()
            self._run_tasks(time_left_ms)
            self._ended.task_done()

    def _run_tasks(self, time_left_ms: Callable[[], int]) -> None:
        while self._tasks:
            task = self._tasks.popleft()
            run, left_ms = task.run, time_left_ms()
            if left_ms < task.needs_ms:
                self.dropped += 1
                _log.warning("a task after the response was dropped: %d ms left, %d needed", left_ms, task.needs_ms)
                run = task.on_drop
            try:
                run()
            except BaseException:  # even SystemExit: it would end only this thread, and the sandbox would hang
                _log.exception("a task after the response failed")


class _Task(NamedTuple):
    run: Callable[[], object]
    needs_ms: int
    on_drop: Callable[[], object]


@dataclass(frozen=True, slots=True)
class _Extension:
    """The two calls of the Extensions API. Each opens a connection, because the sandbox may freeze between them."""

    address: str
    identifier: str

    @classmethod
    def register(cls, address: str) -> _Extension:
        """Register for INVOKE, the only event of internal extensions. Raises OSError, or HTTPException if refused."""
        headers = {"Lambda-Extension-Name": _NAME, "Content-Type": "application/json"}
        body = json.dumps({"events": ["INVOKE"]})
        response = _call(HTTPConnection(address, timeout=_REGISTER_S), "POST", "register", headers, body)
        identifier = response.getheader(_IDENTIFIER)
        if identifier is None:
            raise HTTPException(f"registered without {_IDENTIFIER}")
        return cls(address, identifier)

    def await_invoke(self) -> None:
        """Ask for the next event, and return when an invocation begins. Raises OSError or HTTPException."""
        # No timeout: the sandbox may be frozen for hours meanwhile.
        _call(HTTPConnection(self.address), "GET", "event/next", {_IDENTIFIER: self.identifier})


def _call(
    connection: HTTPConnection, method: str, path: str, headers: Mapping[str, str], body: str | None = None
) -> HTTPResponse:
    try:
        connection.request(method, f"{_API}/{path}", body, headers)
        response = connection.getresponse()
        text = response.read()
        if response.status != 200:
            raise HTTPException(f"{response.status} {text.decode(errors='replace')}")
        return response
    finally:
        connection.close()

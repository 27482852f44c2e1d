"""Work that runs after the response was sent, while an internal Lambda extension keeps the sandbox awake.

Lambda freezes a sandbox as soon as its runtime and its extensions have all asked for the next event, and hands out
that event only then. An internal extension is a thread of the function's own process, registered during init. Ours
asks once the tasks of the invocation are done, so that the sandbox stays awake for them and no longer:

    runtime    next ► handler ► response ► next ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄► handler ► …
                              └ ended ┐    the caller has its answer      ▒ frozen ▒ │
    extension  next ┄┄► INVOKE ┄┄┄┄┄┄┄┴► task ► task ► next ┄┄┄┄┄┄┄┄┄┄┄┄┄▒┄┄┄┄┄┄┄┄▒┄┴► INVOKE ► …

So Lambda never lets a task and the next handler run at the same time, and they may use the same connections. `wrap`
does not rely on it: it waits for the tasks of the invocations before.

A task starts when the handler has returned, so the runtime sends the response beside it: a task should wait more than
it computes. Tasks count against the function's timeout, at whose end Lambda kills the sandbox; a task that says how
long it needs is not started when less is left.

With SnapStart, the thread waits for its event while the snapshot is taken, as the runtime waits for its own: Lambda
takes it only once every registered extension has asked, and server and socket are in the same snapshot. This follows
from how Lambda's emulator (its rapid/start.go) initializes for a snapshot; no document promises it. Should the socket
be dead after all, the first invocation finds tasks inline, as after any other failure to get an event.

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
from typing import Final, Protocol, TypeVar

__all__ = ["AfterResponse", "InvocationContext"]

_E = TypeVar("_E")
_C = TypeVar("_C", bound="InvocationContext")
_R = TypeVar("_R")

_NAME: Final = "cacheaside"
_API: Final = "/2020-01-01/extension"
_IDENTIFIER: Final = "Lambda-Extension-Identifier"
_REGISTER_S: Final = 2.0  # the API is in the sandbox itself, and all of init has 10 s

_log = logging.getLogger(__name__)


class InvocationContext(Protocol):
    """What we need of the context that Lambda passes to a handler."""

    def get_remaining_time_in_millis(self) -> int: ...


class AfterResponse:
    """A queue of tasks, run one after the other when the handler has ended.

    `inline` tells that they run before the response is sent, because nothing here can keep the sandbox awake.
    `dropped` counts the tasks that were not started for want of time.
    """

    def __init__(self) -> None:
        """One that works inline; see `start`."""
        self.inline = True
        self.dropped = 0
        # Never used by handler and thread at once: the one puts and joins around it, the other runs in between.
        self._tasks: deque[_Task] = deque()
        self._ended: Queue[Callable[[], int]] = Queue()  # for each invocation, what tells the ms it has left

    @classmethod
    def start(cls, environment: Mapping[str, str]) -> AfterResponse:
        """Register with Lambda. To be called during init, and once: later, registration is refused.

        Never raises: where there is no Lambda, or it refuses, tasks run inline.
        """
        after_response = cls()
        if address := environment.get("AWS_LAMBDA_RUNTIME_API"):
            try:
                extension = _Extension.register(address)
            except (OSError, HTTPException) as error:
                _log.warning("tasks will delay the response: no extension could be registered: %r", error)
            else:
                after_response.inline = False
                Thread(target=after_response._follow, args=[extension], name="after-response", daemon=True).start()
        return after_response

    def submit(self, task: Callable[[], object], *, needs_ms: int = 0) -> None:
        """Run `task` after the response of the current invocation, unless less than `needs_ms` is left by then.

        What it raises is logged. A task may submit another one.
        """
        self._tasks.append(_Task(task, needs_ms))

    def wrap(self, handler: Callable[[_E, _C], _R]) -> Callable[[_E, _C], _R]:
        """Decorate the handler, outermost: its end, also by an exception, is what the tasks wait for."""

        @wraps(handler)
        def followed(event: _E, context: _C) -> _R:
            self._ended.join()
            try:
                return handler(event, context)
            finally:
                if self.inline:
                    self._run_tasks(context.get_remaining_time_in_millis)
                else:
                    self._ended.put(context.get_remaining_time_in_millis)

        return followed

    def _follow(self, extension: _Extension) -> None:
        """The thread: each INVOKE is one call of the handler, whichever of the two is seen first."""
        while True:
            if not self.inline:
                try:
                    extension.await_invoke()
                except (OSError, HTTPException) as error:
                    # Lambda now waits in vain for us to ask, and replaces the sandbox when the function's timeout is
                    # over. Until then: what was submitted is run, and nobody relies on this thread any more.
                    self.inline = True
                    _log.error("tasks will delay the response: the extension got no event: %r", error)
            time_left_ms = self._ended.get()
            self._run_tasks(time_left_ms)
            self._ended.task_done()

    def _run_tasks(self, time_left_ms: Callable[[], int]) -> None:
        while self._tasks:
            task = self._tasks.popleft()
            left_ms = time_left_ms()
            if left_ms < task.needs_ms:
                self.dropped += 1
                _log.warning("a task after the response was dropped: %d ms left, %d needed", left_ms, task.needs_ms)
                continue
            try:
                task.run()
            except BaseException:  # even SystemExit: in a thread it would end the thread only, and hang the sandbox
                _log.exception("a task after the response failed")


@dataclass(frozen=True, slots=True)
class _Task:
    run: Callable[[], object]
    needs_ms: int


@dataclass(frozen=True, slots=True)
class _Extension:
    """The two calls of the Extensions API, each on a connection of its own: it may have been frozen in between."""

    address: str
    identifier: str

    @classmethod
    def register(cls, address: str) -> _Extension:
        """Internal extensions may ask for INVOKE only. Raises OSError or HTTPException, also when refused."""
        headers = {"Lambda-Extension-Name": _NAME, "Content-Type": "application/json"}
        body = json.dumps({"events": ["INVOKE"]})
        response = _call(HTTPConnection(address, timeout=_REGISTER_S), "POST", "register", headers, body)
        identifier = response.getheader(_IDENTIFIER)
        if identifier is None:
            raise HTTPException(f"registered without {_IDENTIFIER}")
        return cls(address, identifier)

    def await_invoke(self) -> None:
        """Say that we are done, and return when the next invocation begins. Raises OSError or HTTPException."""
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

"""Tasks that run after the response was sent, while an internal Lambda extension keeps the sandbox awake.

Lambda freezes a sandbox when its runtime and all its extensions have asked for the next event, and sends the event only
after that. An internal extension is a thread of the function's own process, registered during init. This one asks when
the tasks of the invocation are done, so the sandbox stays awake until then and no longer:

    runtime    next ► handler ► response ► next ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄► handler ► …
                              └ ended ┐    the caller has its answer      ▒ frozen ▒ │
    extension  next ┄┄► INVOKE ┄┄┄┄┄┄┄┴► task ► task ► next ┄┄┄┄┄┄┄┄┄┄┄┄┄▒┄┄┄┄┄┄┄┄▒┄┴► INVOKE ► …

Without tasks, which is nearly always, the handler's own thread asks for the next event before it returns. So a hit does
not wake the other thread, and the two do not compete for the interpreter.

So Lambda never runs a task and the next handler at the same time, and both may use the same connections. `wrap` does
not rely on that: before the handler, it waits for the tasks of earlier invocations.

A task starts when the handler has returned, while the runtime sends the response. So a task should mostly wait, and
compute little. Tasks count against the function's timeout. When it is over, Lambda kills the sandbox. A task that
declares how long it needs is not started if less time is left.

With SnapStart, the extension has asked for its event when Lambda takes the snapshot, as the runtime has. Lambda takes
it only when every registered extension has asked, and the snapshot contains both the server and the socket. This
follows from the snapshot code of Lambda's emulator (its rapid/start.go). No document promises it. If the socket is dead
after a restore, the extension asks once more on a new one. If that fails too, tasks run inline from then on.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from functools import wraps
from queue import SimpleQueue
from threading import Thread
from typing import NamedTuple, Protocol, TypeVar

from cacheaside.errors import in_full
from cacheaside.runtime.extension import Extension, Refused

__all__ = ["AfterResponse", "InvocationContext"]

_E = TypeVar("_E")
_C = TypeVar("_C", bound="InvocationContext")
_R = TypeVar("_R")

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
        # Handler and thread never use it at once: the handler takes from `_done` before, and puts into `_ended` after.
        self._tasks: deque[_Task] = deque()
        # To the thread, when a handler has ended, and back, when its tasks have. The first one returns the ms left.
        self._ended: SimpleQueue[Callable[[], int]] = SimpleQueue()
        self._done: SimpleQueue[None] = SimpleQueue()
        self._has_thread_work = False
        self._extension: Extension | None = None

    @classmethod
    def start(cls, environment: Mapping[str, str]) -> AfterResponse:
        """Register with Lambda. Must be called once, during init: Lambda refuses a later registration.

        Never raises. Outside Lambda, or if Lambda refuses, tasks run inline.
        """
        after_response = cls()
        if address := environment.get("AWS_LAMBDA_RUNTIME_API"):
            try:
                extension = Extension(address)
                extension.register()
                extension.ask()  # Lambda's init waits for it
            except (OSError, Refused) as error:
                _log.warning("tasks will delay the response: no extension could be registered: %r", error)
            else:
                after_response.inline, after_response._extension = False, extension
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
            if self._has_thread_work:
                self._done.get()
                self._has_thread_work = False
            try:
                return handler(event, context)
            finally:
                extension = self._extension
                if extension is None or self.inline:
                    self._run_tasks(context.get_remaining_time_in_millis)
                elif not self._tasks and extension.has_event():
                    self._settle(extension)
                else:
                    self._has_thread_work = True
                    self._ended.put(context.get_remaining_time_in_millis)

        return wrapped

    def _loop(self, extension: Extension) -> None:
        """Run the thread. Each INVOKE belongs to one call of the handler. The call may end before INVOKE arrives."""
        while True:
            time_left_ms = self._ended.get()
            is_invoked = self._attempt(extension.await_invoke)
            self._run_tasks(time_left_ms)
            if is_invoked:
                self._attempt(extension.ask)
            self._done.put(None)

    def _settle(self, extension: Extension) -> None:
        if self._attempt(extension.await_invoke):
            self._attempt(extension.ask)

    def _attempt(self, call: Callable[[], None]) -> bool:
        """Make a call to Lambda, and return whether it succeeded. If not, later handlers run their tasks inline.

        Then nothing asks for events, so Lambda replaces the sandbox when the function's timeout is over.
        """
        try:
            call()
        except Exception as error:  # also one that nobody foresaw: without the thread the sandbox would hang
            self.inline = True
            _log.error("tasks will delay the response: the extension got no event: %r", error)
        return not self.inline

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
            except BaseException as error:  # even SystemExit: it would end only this thread, and the sandbox would hang
                _log.exception("a task after the response failed: %s", in_full(error))


class _Task(NamedTuple):
    run: Callable[[], object]
    needs_ms: int
    on_drop: Callable[[], object]

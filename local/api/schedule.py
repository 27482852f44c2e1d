"""Invokes functions at the rates of the template, as EventBridge Scheduler does: first at the start.

An invocation that runs longer than the interval does not delay the next. Both run, each in its own sandbox.
"""

import re
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

from local.api.pool import FunctionFailed, Pool
from local.template import Schedule
from local.terminal import PrintLine

__all__ = ["Scheduler"]

Json = dict[str, Any]

# Of these, class and line tell nothing: a server is not there.
_UNAVAILABLE: Final = re.compile(r"^(?:Database|Cache)Unavailable: (.*) \([^()]*:\d+\)$", re.DOTALL)


class Scheduler:
    """Runs the schedules during a `with` block. Closing a pool ends the invocations that still run after it."""

    def __init__(self, schedules: Iterable[Schedule], pools: Mapping[str, Pool], print_line: PrintLine) -> None:
        """`print_line` is called with a line for each invocation that failed."""
        self._schedules, self._pools, self._print_line = schedules, pools, print_line
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        for schedule in self._schedules:
            threading.Thread(target=self._run, args=[schedule], daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopped.set()

    def _run(self, schedule: Schedule) -> None:
        due = time.monotonic()
        while not self._stopped.wait(due - time.monotonic()):
            threading.Thread(target=self._invoke, args=[schedule], daemon=True).start()
            # If this process was suspended, the missed times are skipped.
            due = max(due + schedule.interval, time.monotonic())

    def _invoke(self, schedule: Schedule) -> None:
        try:
            self._pools[schedule.function].invoke(_description(schedule) if schedule.input is None else schedule.input)
        except FunctionFailed as failure:
            if not self._stopped.is_set():
                cause = _UNAVAILABLE.sub(r"\1", str(failure))
                self._print_line(f"{schedule.function}, on schedule: {cause}")


def _description(schedule: Schedule) -> Json:
    """The event of a schedule that has no Input, as EventBridge Scheduler writes it."""
    region, account = "us-east-1", "123456789012"
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": account,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": [f"arn:aws:scheduler:{region}:{account}:schedule/default/{schedule.name}"],
        "detail": "{}",
    }

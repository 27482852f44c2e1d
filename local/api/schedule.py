"""Invokes functions when the template says so, as EventBridge Scheduler would: at the start, then at its rate.

An invocation that is not done by the next time does not hold that up: both run, each in a sandbox of its own.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from local.api.pool import FunctionFailed, Pool
from local.template import Schedule

__all__ = ["Scheduler"]

Json = dict[str, Any]


class Scheduler:
    """Keeps the schedules for as long as a `with` block lasts; what then still runs ends when its pool is closed."""

    def __init__(self, schedules: Iterable[Schedule], pools: Mapping[str, Pool], tell: Callable[[str], None]) -> None:
        """`tell` hears of each invocation that failed."""
        self._schedules, self._pools, self._tell = schedules, pools, tell
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        for schedule in self._schedules:
            threading.Thread(target=self._keep, args=[schedule], daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopped.set()

    def _keep(self, schedule: Schedule) -> None:
        due = time.monotonic()
        while not self._stopped.wait(due - time.monotonic()):
            threading.Thread(target=self._invoke, args=[schedule], daemon=True).start()
            # Times that have passed while this process was stopped are not made up for.
            due = max(due + schedule.interval, time.monotonic())

    def _invoke(self, schedule: Schedule) -> None:
        try:
            self._pools[schedule.function].invoke(_description(schedule) if schedule.input is None else schedule.input)
        except FunctionFailed as failure:
            if not self._stopped.is_set():
                self._tell(f"{schedule.function}, on schedule: {failure}")


def _description(schedule: Schedule) -> Json:
    """The event of a schedule without Input, as EventBridge Scheduler writes it."""
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

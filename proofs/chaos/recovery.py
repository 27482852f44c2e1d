"""When a stack is well again after a fault, judged by what its clients get."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from proofs.chaos.history import Operation

__all__ = ["latency_s", "recovered_after_s"]

_STEP_S: Final = 0.25
_WHOLE_S: Final = 1.0
_LEAST: Final = 5  # operations, so that a second says something
_TIMES: Final = 3.0  # the healthy latency, and on top of it what one pause of a busy machine takes
_PAUSE_S: Final = 0.5


def latency_s(operations: Sequence[Operation], share: float) -> float:
    """Return the seconds that `share` of the operations did not exceed, 0 if there are none."""
    took = sorted(operation.end - operation.begin for operation in operations)
    return took[max(math.ceil(share * len(took)) - 1, 0)] if took else 0.0


def recovered_after_s(operations: Sequence[Operation], end: float, now: float, healthy_p99_s: float) -> float | None:
    """Return how long after `end` the first good second began, or None if there was none until `now`.

    It is good if no request that ended in it failed, and 99 % of them took about as long as in a healthy stack.
    """
    of_api = (each for each in operations if each.kind != "sql" and not each.left and each.end >= end)
    asked = sorted(of_api, key=lambda each: each.end)
    begin = end
    while begin + _WHOLE_S <= now:
        second = [each for each in asked if begin <= each.end < begin + _WHOLE_S]
        failed = any(each.status == 0 or each.status >= 500 for each in second)
        slow = latency_s(second, 0.99) > _TIMES * healthy_p99_s + _PAUSE_S
        if len(second) >= _LEAST and not failed and not slow:
            return begin - end
        begin += _STEP_S
    return None

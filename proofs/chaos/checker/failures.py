"""Do callers get an answer whenever one is possible, in a bounded time, and again soon after a fault?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from proofs.chaos.checker.answers import reads_of
from proofs.chaos.checker.evidence import Evidence
from proofs.chaos.checker.violation import Violation
from proofs.chaos.checker.writes import REFUSED, problem_of
from proofs.chaos.history import History, Operation

__all__ = ["bugs", "is_killed", "late_answers", "late_recoveries", "needless_failures", "needless_old_answers"]

# The problems that a fault of PostgreSQL may cause. Any other, such as an internal error, is a bug.
_EXCUSABLE: Final = REFUSED | {"outcome-unknown", "overloaded", "waited-too-long"}
# An invocation without an answer, and what faults may do to one. Any other end is a bug.
_INVOCATION: Final = re.compile(r"\w+Function(?:, on schedule)?: (?P<end>.*)", re.DOTALL)
_FORESEEN: Final = re.compile(
    r"the sandbox ended with status -9$|the database cannot be reached: "
    r"|(DatabaseUnavailable|DatabaseSilent|OutcomeUnknown|Busy|RefusedForNow|Overloaded|StatementTimeout): "
)


def is_killed(operation: Operation) -> bool:
    """Whether the gateway itself answered, as Lambda does for an invocation that ended without an answer."""
    return operation.status == 500 and operation.content_type != "application/problem+json"


def needless_failures(history: History, evidence: Evidence) -> Iterator[Violation]:
    for operation in history.operations:
        if operation.status < 500:
            continue
        if is_killed(operation):
            if not evidence.sandbox_ended(operation):
                yield Violation("no needless 5xx", "a function failed that no fault had hit", (operation,))
            continue
        if problem_of(operation) not in _EXCUSABLE:
            yield Violation("no needless 5xx", f"no fault explains the problem {problem_of(operation)}", (operation,))
        elif evidence.database_could_answer(operation):
            text = f"PostgreSQL could answer, and the answer was {operation.status} {problem_of(operation)}"
            yield Violation("no needless 5xx", text, (operation,))
        elif operation.kind != "write" and (hit := evidence.usable_entry(operation)) is not None:
            text = "an entry that was stored before and was served later could answer"
            yield Violation("no needless 5xx", text, (operation, hit))


def bugs(history: History) -> Iterator[Violation]:
    """Find invocations that ended in a way that no fault explains, such as an exception of Python."""
    for failure in history.failures:
        invocation = _INVOCATION.match(failure.text)
        if invocation is not None and not _FORESEEN.match(invocation["end"]):
            yield Violation("no needless 5xx", "no fault explains the end of an invocation", (failure,))


def needless_old_answers(history: History, evidence: Evidence) -> Iterator[Violation]:
    for read in reads_of(history):
        if "stale-if-error" in read.cache_status and evidence.database_could_answer(read):
            yield Violation("stale only on error", "PostgreSQL could answer, and the answer was an old one", (read,))


def late_answers(history: History, evidence: Evidence, longest_s: float) -> Iterator[Violation]:
    for operation in history.operations:
        if operation.kind == "sql":
            continue
        took_s, frozen_s = operation.end - operation.begin, evidence.functions_hit_s(operation)
        if took_s > longest_s + frozen_s:
            text = f"an answer took {took_s:.1f} s, more than {longest_s:.0f} s and the {frozen_s:.1f} s of a fault"
            yield Violation("bounded latency", text, (operation,))


def late_recoveries(history: History, recovered_s: float) -> Iterator[Violation]:
    for fault in history.injected:
        if fault.recovered_s is None or fault.recovered_s > recovered_s:
            took = "not in time" if fault.recovered_s is None else f"after {fault.recovered_s:.1f} s"
            text = f"the stack recovered from “{fault.name}” {took}; {recovered_s:.0f} s are promised"
            yield Violation("recovery by itself", text, (fault,))

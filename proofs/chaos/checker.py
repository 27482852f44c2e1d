"""Judges the record of a campaign. It imports nothing of the product, and asks no server.

    answers   no answer is older than a write that was acknowledged before the read began, none shows a value that was
              not written by then, each is well-formed and of the question that was asked
    writes    each acknowledged write was carried out once, none that was refused, no invalidation was lost
    failures  no 5xx while PostgreSQL or a usable entry could answer, no stale-if-error then either, bounded latency,
              and recovery in time

A write is acknowledged by its answer "invalidation": "done", or when the outbox shows its change as drained.
"""

from __future__ import annotations

import builtins
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from proofs.chaos.evidence import Evidence
from proofs.chaos.history import Drained, History, Operation

__all__ = ["Limits", "Violation", "check", "is_killed", "reads"]

# The problems whose explanation says that nothing was written, or that the statement was cancelled.
_REFUSED: Final = frozenset(
    ["unavailable", "busy", "refused-for-now", "conflict", "unprocessable", "timeout", "no-row"]
)
# The problems that a fault of PostgreSQL may cause. Any other, such as an internal error, is a bug.
_EXCUSABLE: Final = _REFUSED | {"outcome-unknown", "overloaded", "waited-too-long"}
# A function whose handler raised, and the class of the exception.
_RAISED: Final = re.compile(r"Function(?:, on schedule)?: (?P<name>\w+):")


@dataclass(frozen=True, slots=True)
class Limits:
    """What is promised about time, in seconds, and how many rows a read of all has."""

    rows: int
    longest_s: float
    recovered_s: float


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise, and the entries of the record that prove it."""

    promise: str
    text: str
    proof: tuple[object, ...] = ()

    def __str__(self) -> str:
        return "\n".join([f"{self.promise}: {self.text}", *(f"    {entry}" for entry in self.proof)])


def check(history: History, limits: Limits) -> list[Violation]:
    """Return every violation that the record proves."""
    evidence = Evidence(history)
    return [
        *_malformed(history, limits.rows),
        *_old(history),
        *_unwritten(history),
        *_writes(history),
        *_invalidations(history),
        *_failures(history, evidence),
        *_bugs(history),
        *_stale_on_error(history, evidence),
        *_latency(history, evidence, limits.longest_s),
        *_recovery(history, limits.recovered_s),
    ]


def reads(history: History) -> list[Operation]:
    """Return the reads over HTTP."""
    return [each for each in history.operations if each.kind in ("row", "rows")]


def is_killed(operation: Operation) -> bool:
    """Whether the gateway itself answered, as Lambda does for an invocation that ended without an answer."""
    return operation.status == 500 and operation.content_type != "application/problem+json"


def _values_of(read: Operation) -> dict[int, int]:
    """Return the values that a read answered, by row. Raises ValueError, TypeError or KeyError if it is malformed."""
    data = json.loads(read.body)["data"]
    one = read.kind == "row"
    values = {data["id"]: data["value"]} if one else dict(zip(data["ids"], data["values"], strict=True))
    if not all(isinstance(value, int) for value in values.values()):
        raise TypeError("a value is no number")
    return values


def _malformed(history: History, rows: int) -> Iterator[Violation]:
    for read in reads(history):
        expected = {read.row} if read.kind == "row" else set(range(rows))
        if read.status == 200:
            try:
                right = _values_of(read).keys() == expected
            except (ValueError, TypeError, KeyError):
                right = False
            if not right or not read.content_type.startswith("application/json"):
                yield Violation("well-formed", "an answer is malformed, or of another question", (read,))
        elif read.status < 500:
            got = read.status or "no answer"
            yield Violation("well-formed", f"a read of rows that exist got {got}", (read,))
    for write in _attempts(history):
        if write.status == 200 and _confirmed(write) is None:
            yield Violation("well-formed", "the answer to a write is malformed", (write,))
        # 404: it waited for a transaction that replaced the row. 409: another attempt with its key is still running.
        elif write.status not in (0, 200, 404, 409) and write.status < 500:
            yield Violation("well-formed", f"a write got {write.status}", (write,))


def _confirmed(write: Operation) -> tuple[int, str] | None:
    """Return the value that a write answered, and the state of its invalidation, or None if it is no such answer."""
    try:
        document = json.loads(write.body)
        data, invalidation = document["data"], document["invalidation"]
        right = data["id"] == write.row and isinstance(data["value"], int) and invalidation in ("done", "pending")
    except (ValueError, TypeError, KeyError):
        return None
    return (data["value"], invalidation) if right and write.status == 200 else None


def _attempts(history: History) -> list[Operation]:
    return [each for each in history.operations if each.kind == "write"]


def _answered(history: History) -> list[tuple[Operation, dict[int, int]]]:
    """Return the reads that have values, with these."""
    answered = []
    for read in reads(history):
        if read.status == 200:
            try:
                answered.append((read, _values_of(read)))
            except (ValueError, TypeError, KeyError):
                continue  # reported as malformed
    return answered


def _old(history: History) -> Iterator[Violation]:
    """Compare each read with the newest acknowledged value of each row at its begin."""
    acknowledged: list[tuple[float, int, int, Operation | Drained]] = [
        (write.end, int(write.row or 0), confirmed[0], write)
        for write in _attempts(history)
        if (confirmed := _confirmed(write)) is not None and confirmed[1] == "done"
    ]
    done = _Newest(acknowledged)
    drained = _Newest([(each.at, each.row, each.value, each) for each in history.drained])
    for read, values in sorted(_answered(history), key=lambda pair: pair[0].begin):
        # A failover may lose what was drained before. It may not lose what was answered with "done".
        in_window = any(window.begin < read.end and read.begin < window.end for window in history.windows)
        for newest in (done,) if in_window else (done, drained):
            newest.advance(read.begin)
            for row, value in values.items():
                bound = newest.of(row)
                if bound is not None and value < bound[0]:
                    text = f"row {row} was read as {value}, after {bound[0]} was acknowledged"
                    yield Violation("no old answer", text, (bound[1], read))


class _Newest:
    """The newest acknowledged value of each row at a time that only advances."""

    def __init__(self, acknowledged: Iterable[tuple[float, int, int, Operation | Drained]]) -> None:
        self._coming = sorted(acknowledged, key=lambda each: each[0], reverse=True)
        self._newest: dict[int, tuple[int, Operation | Drained]] = {}

    def advance(self, now: float) -> None:
        while self._coming and self._coming[-1][0] < now:
            _, row, value, proof = self._coming.pop()
            if row not in self._newest or self._newest[row][0] < value:
                self._newest[row] = (value, proof)

    def of(self, row: int) -> tuple[int, Operation | Drained] | None:
        return self._newest.get(row)


def _unwritten(history: History) -> Iterator[Violation]:
    """Find values that nothing had written when the read ended. Each row begins with 0."""
    begun: dict[str | None, Operation] = {}
    for write in _attempts(history):
        begun.setdefault(write.name, write)  # the first attempt
    written = {(change.row, change.value): begun.get(change.name) for change in history.changes}
    for read, values in _answered(history):
        for row, value in values.items():
            if value and (row, value) not in written:
                text = f"row {row} was read as {value}, which was never written"
                yield Violation("only written values", text, (read,))
            made_by = written.get((row, value))
            if made_by is not None and made_by.begin > read.end:
                yield Violation(
                    "only written values", f"row {row} was read as {value} before its write", (read, made_by)
                )


def _writes(history: History) -> Iterator[Violation]:
    """Compare the answers to each write, of all its attempts, with how often the journal has it."""
    carried_out: dict[str, list[int]] = {}
    for change in history.changes:
        if change.name is not None:
            carried_out.setdefault(change.name, []).append(change.value)
    attempts: dict[str, list[Operation]] = {}
    for write in _attempts(history):
        attempts.setdefault(write.name, []).append(write)
    for name, tried in attempts.items():
        values, proof = carried_out.get(name, []), tuple(tried)
        succeeded = [confirmed[0] for write in tried if (confirmed := _confirmed(write)) is not None]
        if len(values) > 1:
            yield Violation("no doubled write", f"{name} was carried out {len(values)} times", proof)
        elif succeeded and not values:
            yield Violation("no lost write", f"{name} was acknowledged and is not in the database", proof)
        elif any(value != values[0] for value in succeeded):
            yield Violation("no lost write", f"{name} wrote {values[0]}, and the answer says otherwise", proof)
        elif values and all(_problem(write) in _REFUSED for write in tried):
            yield Violation("no refused write", f"{name} was refused each time, and was carried out", proof)


def _problem(operation: Operation) -> str:
    """Return the kind of problem that an answer describes, or an empty string."""
    if operation.content_type != "application/problem+json":
        return ""
    return str(json.loads(operation.body).get("type", "")).rpartition("#")[2]


def _invalidations(history: History) -> Iterator[Violation]:
    if history.pending:
        yield Violation("no lost invalidation", f"{history.pending} changes or replays are pending at the end")
    if history.undrained:
        text = f"{len(history.undrained)} committed changes were never drained"
        yield Violation("no lost invalidation", text, tuple(history.undrained[:5]))


def _failures(history: History, evidence: Evidence) -> Iterator[Violation]:
    for operation in history.operations:
        if operation.status < 500:
            continue
        if is_killed(operation):
            if not evidence.sandbox_ended(operation):
                yield Violation("no needless 5xx", "a function failed that no fault had hit", (operation,))
            continue
        if _problem(operation) not in _EXCUSABLE:
            yield Violation("no needless 5xx", f"no fault explains the problem {_problem(operation)}", (operation,))
        elif evidence.database_could_answer(operation):
            text = f"PostgreSQL could answer, and the answer was {operation.status} {_problem(operation)}"
            yield Violation("no needless 5xx", text, (operation,))
        elif operation.kind != "write" and (hit := evidence.usable_entry(operation)) is not None:
            text = "an entry that was stored before and was served later could answer"
            yield Violation("no needless 5xx", text, (operation, hit))


def _bugs(history: History) -> Iterator[Violation]:
    """Find exceptions that are none of the product's own: whatever a fault does, its handlers foresee it."""
    for failure in history.failures:
        raised = _RAISED.search(failure.text)
        if raised is not None and hasattr(builtins, raised["name"]):
            yield Violation("no needless 5xx", f"a function raised {raised['name']}", (failure,))


def _stale_on_error(history: History, evidence: Evidence) -> Iterator[Violation]:
    for read in reads(history):
        if "stale-if-error" in read.cache_status and evidence.database_could_answer(read):
            yield Violation("stale only on error", "PostgreSQL could answer, and the answer was an old one", (read,))


def _latency(history: History, evidence: Evidence, longest_s: float) -> Iterator[Violation]:
    for operation in history.operations:
        if operation.kind == "sql":
            continue
        took_s, frozen_s = operation.end - operation.begin, evidence.functions_hit_s(operation)
        if took_s > longest_s + frozen_s:
            text = f"an answer took {took_s:.1f} s, more than {longest_s:.0f} s and the {frozen_s:.1f} s of a fault"
            yield Violation("bounded latency", text, (operation,))


def _recovery(history: History, recovered_s: float) -> Iterator[Violation]:
    for fault in history.injected:
        if fault.recovered_s is None or fault.recovered_s > recovered_s:
            took = "not in time" if fault.recovered_s is None else f"after {fault.recovered_s:.1f} s"
            text = f"the stack recovered from “{fault.name}” {took}; {recovered_s:.0f} s are promised"
            yield Violation("recovery by itself", text, (fault,))

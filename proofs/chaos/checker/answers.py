"""Are answers to reads right? None may be old, show a value that nothing wrote, be malformed or of another question."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from proofs.chaos.checker.violation import Violation
from proofs.chaos.checker.writes import attempts_of, confirmed_by
from proofs.chaos.history import Drained, History, Operation

__all__ = ["malformed_answers", "old_answers", "reads_of", "unwritten_answers"]


def reads_of(history: History) -> list[Operation]:
    """Return the reads over HTTP."""
    return [each for each in history.operations if each.kind in ("row", "rows")]


def _values_of(read: Operation) -> dict[int, int]:
    """Return the values that a read answered, by row. Raises ValueError, TypeError or KeyError if it is malformed."""
    data = json.loads(read.body)["data"]
    one = read.kind == "row"
    values = {data["id"]: data["value"]} if one else dict(zip(data["ids"], data["values"], strict=True))
    if not all(isinstance(value, int) for value in values.values()):
        raise TypeError("a value is no number")
    return values


def malformed_answers(history: History, rows: int) -> Iterator[Violation]:
    for read in reads_of(history):
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


def _answered(history: History) -> list[tuple[Operation, dict[int, int]]]:
    """Return the reads that have values, with these."""
    answered = []
    for read in reads_of(history):
        if read.status == 200:
            try:
                answered.append((read, _values_of(read)))
            except (ValueError, TypeError, KeyError):
                continue  # reported as malformed
    return answered


def old_answers(history: History) -> Iterator[Violation]:
    """Compare each read with the newest acknowledged value of each row at its begin."""
    acknowledged: list[tuple[float, int, int, Operation | Drained]] = [
        (write.end, int(write.row or 0), confirmed[0], write)
        for write in attempts_of(history)
        if (confirmed := confirmed_by(write)) is not None and confirmed[1] == "done"
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


def unwritten_answers(history: History) -> Iterator[Violation]:
    """Find values that nothing had written when the read ended. Each row begins with 0."""
    begun: dict[str | None, Operation] = {}
    for write in attempts_of(history):
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

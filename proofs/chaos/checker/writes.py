"""Is each acknowledged write carried out once, none that was refused, and each invalidation delivered?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from proofs.chaos.checker.violation import Violation
from proofs.chaos.history import History, Operation

__all__ = [
    "REFUSED",
    "attempts_of",
    "confirmed_by",
    "lost_invalidations",
    "malformed_confirmations",
    "problem_of",
    "wrong_writes",
]

# The problems whose explanation says that nothing was written, or that the statement was cancelled.
REFUSED: Final = frozenset(["unavailable", "busy", "refused-for-now", "conflict", "unprocessable", "timeout", "no-row"])

# It waited for a transaction that replaced the row; another attempt with its key is still running.
_UNDONE: Final = frozenset(["no-row", "idempotency-key-in-flight"])


def attempts_of(history: History) -> list[Operation]:
    """Return all requests that write. The first attempts of a write may be those of the warm-up."""
    return [each for each in (*history.warm_up, *history.operations) if each.kind == "write"]


def problem_of(operation: Operation) -> str:
    """Return the kind of problem that an answer describes, or an empty string."""
    if operation.content_type != "application/problem+json":
        return ""
    return str(json.loads(operation.body).get("type", "")).rpartition("#")[2]


def confirmed_by(write: Operation) -> tuple[int, str] | None:
    """Return the value that a write answered, and the state of its invalidation, or None if it is no such answer."""
    try:
        document = json.loads(write.body)
        data, invalidation = document["data"], document["invalidation"]
        right = data["id"] == write.row and isinstance(data["value"], int) and invalidation in ("done", "pending")
    except (ValueError, TypeError, KeyError):
        return None
    return (data["value"], invalidation) if right and write.status == 200 else None


def malformed_confirmations(history: History) -> Iterator[Violation]:
    for write in attempts_of(history):
        if write.status == 200 and confirmed_by(write) is None:
            yield Violation("well-formed", "the answer to a write is malformed", (write,))
        elif write.status < 500 and write.status != 200 and not write.left and problem_of(write) not in _UNDONE:
            got = write.status or "no answer"
            yield Violation("well-formed", f"a write got {got}", (write,))


def wrong_writes(history: History) -> Iterator[Violation]:
    """Compare the answers to each write, of all its attempts, with how often the journal has it."""
    carried_out: dict[str, list[int]] = {}
    for change in history.changes:
        if change.name is not None:
            carried_out.setdefault(change.name, []).append(change.value)
    attempts: dict[str, list[Operation]] = {}
    for write in attempts_of(history):
        attempts.setdefault(write.name, []).append(write)
    for name, tried in attempts.items():
        values, proof = carried_out.get(name, []), tuple(tried)
        succeeded = [confirmed[0] for write in tried if (confirmed := confirmed_by(write)) is not None]
        if len(values) > 1:
            yield Violation("no doubled write", f"{name} was carried out {len(values)} times", proof)
        elif succeeded and not values:
            yield Violation("no lost write", f"{name} was acknowledged and is not in the database", proof)
        elif any(value != values[0] for value in succeeded):
            yield Violation("no lost write", f"{name} wrote {values[0]}, and the answer says otherwise", proof)
        elif values and all(problem_of(write) in REFUSED for write in tried):
            yield Violation("no refused write", f"{name} was refused each time, and was carried out", proof)


def lost_invalidations(history: History) -> Iterator[Violation]:
    if history.pending:
        yield Violation("no lost invalidation", f"{history.pending} changes or replays are pending at the end")
    if history.undrained:
        text = f"{len(history.undrained)} committed changes were never drained"
        yield Violation("no lost invalidation", text, tuple(history.undrained[:5]))

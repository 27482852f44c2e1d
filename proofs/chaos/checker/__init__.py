"""Judges the record of a campaign. It imports nothing of the product, and asks no server.

    answers   no answer is older than a write that was acknowledged before the read began, none shows a value that was
              not written by then, each is well-formed and of the question that was asked
    writes    each acknowledged write was carried out once, none that was refused, no invalidation was lost
    failures  no 5xx while PostgreSQL or a usable entry could answer, no stale-if-error then either, bounded latency,
              and recovery in time

A write is acknowledged by its answer "invalidation": "done", or when the outbox shows its change as drained.
"""

from __future__ import annotations

from proofs.chaos.checker.answers import malformed_answers, old_answers, unwritten_answers
from proofs.chaos.checker.evidence import Evidence
from proofs.chaos.checker.failures import (
    bugs,
    is_killed,
    late_answers,
    late_recoveries,
    needless_failures,
    needless_old_answers,
)
from proofs.chaos.checker.violation import Limits, Violation
from proofs.chaos.checker.writes import lost_invalidations, malformed_confirmations, wrong_writes
from proofs.chaos.history import History

__all__ = ["Limits", "Violation", "check", "is_killed"]


def check(history: History, limits: Limits) -> list[Violation]:
    """Return every violation that the record proves."""
    evidence = Evidence(history)
    return [
        *malformed_answers(history, limits.rows),
        *old_answers(history),
        *unwritten_answers(history),
        *malformed_confirmations(history),
        *wrong_writes(history),
        *lost_invalidations(history),
        *needless_failures(history, evidence),
        *bugs(history),
        *needless_old_answers(history, evidence),
        *late_answers(history, evidence, limits.longest_s),
        *late_recoveries(history, limits.recovered_s),
    ]

"""The invalidate function while it polls, as processes. Each is invoked repeatedly, for a shorter time than on AWS."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from cacheaside.drivers.cache.verified import VerifiedCache
from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.errors import DatabaseError
from cacheaside.invalidation.drain import Backlog, Drained, Drainer
from cacheaside.invalidation.sweep import Sweep
from cacheaside.invalidation.verification import Verification
from cacheaside.invalidation.verifier import Verifier
from proofs.consistency.defects import Defect, LossyOutbox, MarkFirstOutbox
from proofs.consistency.history import Count, History
from proofs.consistency.system import SystemUnderTest

__all__ = ["run_invalidate"]

_POLL_S: Final = 5.0


def run_invalidate(worker: int, system: SystemUnderTest, history: History, defect: Defect | None) -> None:
    """Sweep until killed."""
    logging.disable()  # an unavailable cache is expected here
    outbox, cache = _outbox(system, defect), VerifiedCache(system.cache)
    drainer = Drainer(outbox, cache)
    verifier = Verifier(cache, Queries(system.query), system.catalogue, drainer.drain_and_report_age)
    sweep, counts = Sweep(outbox, drainer.drain, verifier.verify), _VerifierCounts(worker, history)
    while True:
        with suppress(DatabaseError):
            sweep.run(_POLL_S, counts)


def _outbox(system: SystemUnderTest, defect: Defect | None) -> Outbox:
    match defect:
        case Defect.MARKED_FIRST:
            return MarkFirstOutbox(system.invalidate)
        case Defect.CHANGES_SKIPPED:
            return LossyOutbox(system.invalidate)
        case _:
            return Outbox(system.invalidate)


@dataclass(frozen=True, slots=True)
class _VerifierCounts:
    """Counts the answers that the verifier compared. The outbox checker counts drained changes, more reliably."""

    worker: int
    history: History

    def followed(self, unrecorded: int) -> None:
        pass

    def drained(self, drained: Drained, backlog: Backlog) -> None:
        pass

    def folded(self, rows: int) -> None:
        pass

    def verified(self, verification: Verification) -> None:
        self.history.count(self.worker, Count.VERIFIED, verification.checked)
        self.history.count(self.worker, Count.FOUND_STALE, len(verification.stale))

"""The invalidate function in listen mode, as processes: each is invoked again and again, for shorter than on AWS."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.drivers.postgres.queries import Database
from cacheaside.errors import DatabaseError
from cacheaside.invalidation.drain import Backlog, Drained, Drainer
from cacheaside.invalidation.sweep import Sweep
from cacheaside.invalidation.verifier import Verification, Verifier
from proofs.consistency.api import Servers
from proofs.consistency.broken import Broken, HastyOutbox, SkippingOutbox
from proofs.consistency.ledger import Happened, Ledger

__all__ = ["run_invalidate"]

_LISTEN_S: Final = 5.0


def run_invalidate(worker: int, servers: Servers, ledger: Ledger, broken: Broken | None) -> None:
    """Sweep until killed."""
    logging.disable()  # a cache that is away is what this is about
    outbox, cache = _outbox(servers, broken), Cache(servers.cache)
    drainer = Drainer(outbox, cache)
    verifier = Verifier(cache, Database(servers.query), servers.catalogue, drainer.settle)
    sweep, tally = Sweep(outbox, drainer, verifier), _Tally(worker, ledger)
    while True:
        with suppress(DatabaseError):
            sweep.run(_LISTEN_S, tally)


def _outbox(servers: Servers, broken: Broken | None) -> Outbox:
    match broken:
        case Broken.DRAINED_FIRST:
            return HastyOutbox(servers.invalidate)
        case Broken.ROWS_SKIPPED:
            return SkippingOutbox(servers.invalidate)
        case _:
            return Outbox(servers.invalidate)


@dataclass(frozen=True, slots=True)
class _Tally:
    """Counts what the verifier finds. What was drained, the auditor knows better."""

    worker: int
    ledger: Ledger

    def drained(self, drained: Drained, backlog: Backlog) -> None:
        pass

    def folded(self, rows: int) -> None:
        pass

    def verified(self, verification: Verification) -> None:
        self.ledger.count(self.worker, Happened.VERIFIED, verification.checked)
        self.ledger.count(self.worker, Happened.FOUND_STALE, len(verification.stale))

"""What a run has found, and how it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from proofs.consistency.ledger import Happened, Ledger

__all__ = ["Ending", "Report"]


@dataclass(frozen=True, slots=True)
class Ending:
    """What was there when nothing went wrong any more and everything should have been drained."""

    pending: int  # changes
    lost: int  # changes that were committed, and never came out of the outbox
    compared: int  # answers of the API with the database
    from_cache: int  # of them
    different: int  # of them
    drained_s: float  # how long it took


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run. It was worth something if every kind of event came often enough; `held` says how it ended."""

    kind: str
    seconds: float
    counts: Mapping[Happened, int]
    sources: Mapping[str, int]
    chaos: Mapping[str, int]
    ending: Ending
    examples: tuple[str, ...]  # of violations

    @classmethod
    def of(
        cls, kind: str, seconds: float, ledger: Ledger, chaos: Mapping[str, int], ending: Ending, examples: list[str]
    ) -> Self:
        counts = {what: ledger.total(what) for what in Happened}
        return cls(kind, seconds, counts, ledger.sources(), dict(chaos), ending, tuple(examples[:10]))

    @property
    def operations(self) -> int:
        """Reads that were answered, and writes that were committed."""
        return sum(self.counts[what] for what in (Happened.READ, Happened.DONE, Happened.PENDING, Happened.COMMITTED))

    @property
    def violations(self) -> int:
        return self.counts[Happened.VIOLATION]

    @property
    def held(self) -> bool:
        """Whether no read was too old, no change was lost, and the cache tells what the database does."""
        end = self.ending
        return not (self.violations or self.counts[Happened.FOUND_STALE] or end.pending or end.lost or end.different)

    def __str__(self) -> str:
        end = self.ending
        lines = [
            f"{self.operations:,} operations in {self.seconds:.0f} s on a cache of the kind {self.kind}",
            f"{self.violations:,} violations: reads older than a write that was acknowledged before them",
            f"{end.lost:,} invalidations lost, {end.pending:,} pending, {end.drained_s:.1f} s after the last write",
            f"{end.different:,} of {end.compared:,} answers ({end.from_cache:,} were hits) differed from the database",
            "",
            *(f"{count:>9,} {what.value}" for what, count in self.counts.items() if what is not Happened.VIOLATION),
            "",
            *(f"{count:>9,} {name}" for name, count in self.sources.items() if count),
            "",
            *(f"{count:>9,} {name}" for name, count in sorted(self.chaos.items())),
            *("", *self.examples) * bool(self.examples),
        ]
        return "\n".join(lines)

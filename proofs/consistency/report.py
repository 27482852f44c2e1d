"""The result of a run, and its printed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from proofs.consistency.history import Count, History

__all__ = ["OPERATIONS", "ConsistencyReport", "FinalCheck"]

# Reads that were answered, and writes that were committed.
OPERATIONS: Final = (Count.READ, Count.DONE, Count.PENDING, Count.COMMITTED)


@dataclass(frozen=True, slots=True)
class FinalCheck:
    """The state after the last fault, when every change should have been drained."""

    pending: int  # changes in the outbox
    lost: int  # committed changes that never were drained
    compared: int  # answers of the API, with the database
    from_cache: int  # of them
    different: int  # of them
    drained_s: float  # from the end of the writes until nothing was pending


@dataclass(frozen=True, slots=True)
class ConsistencyReport:
    """A whole run. It is evidence only if every count is large enough; `held` says whether all checks passed."""

    kind: str
    seconds: float
    counts: Mapping[Count, int]
    sources: Mapping[str, int]
    faults: Mapping[str, int]
    final: FinalCheck
    examples: tuple[str, ...]  # of violations

    @classmethod
    def of(
        cls,
        kind: str,
        seconds: float,
        history: History,
        faults: Mapping[str, int],
        final: FinalCheck,
        examples: list[str],
    ) -> Self:
        counts = {what: history.total(what) for what in Count}
        return cls(kind, seconds, counts, history.sources(), dict(faults), final, tuple(examples[:10]))

    @property
    def operations(self) -> int:
        return sum(self.counts[what] for what in OPERATIONS)

    @property
    def violations(self) -> int:
        return self.counts[Count.VIOLATION]

    @property
    def held(self) -> bool:
        """Whether no read was stale, no change was lost, and the cache agreed with the database at the end."""
        end = self.final
        return not (self.violations or self.counts[Count.FOUND_STALE] or end.pending or end.lost or end.different)

    def __str__(self) -> str:
        end = self.final
        lines = [
            f"{self.operations:,} operations in {self.seconds:.0f} s, kind of cache: {self.kind}",
            f"{self.violations:,} violations: reads older than a write that was acknowledged before they began",
            f"{end.lost:,} invalidations lost, {end.pending:,} pending, {end.drained_s:.1f} s after the last write",
            f"{end.different:,} of {end.compared:,} answers ({end.from_cache:,} were hits) differed from the database",
            "",
            *(f"{count:>9,} {what.value}" for what, count in self.counts.items() if what is not Count.VIOLATION),
            "",
            *(f"{count:>9,} {name}" for name, count in self.sources.items() if count),
            "",
            *(f"{count:>9,} {name}" for name, count in sorted(self.faults.items())),
            *("", *self.examples) * bool(self.examples),
        ]
        return "\n".join(lines)

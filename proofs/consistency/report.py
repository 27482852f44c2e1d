"""The result of a run, and its printed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from proofs.consistency.history import Count, History

__all__ = ["OPERATIONS", "ConsistencyReport", "FinalCheck"]

# Reads that were answered, and writes that were committed.
OPERATIONS: Final = (Count.READ, Count.DONE, Count.PENDING, Count.COMMITTED)
_EACH_MET_AFTER_S: Final = 30.0


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
    longest_ms: float  # of the waits for an answer
    faults: Mapping[str, int]
    met: Mapping[str, int]  # by kind of fault: the commands and replies between cache and clients that met one
    final: FinalCheck
    examples: tuple[str, ...]  # of violations

    @classmethod
    def of(
        cls,
        kind: str,
        seconds: float,
        history: History,
        faults: Mapping[str, int],
        met: Mapping[str, int],
        final: FinalCheck,
        examples: list[str],
    ) -> Self:
        counts = {what: history.total(what) for what in Count}
        return cls(
            kind=kind,
            seconds=seconds,
            counts=counts,
            sources=history.sources(),
            longest_ms=history.longest_ms,
            faults=dict(faults),
            met=met,
            final=final,
            examples=tuple(examples[:10]),
        )

    @property
    def operations(self) -> int:
        return sum(self.counts[what] for what in OPERATIONS)

    @property
    def violations(self) -> int:
        return self.counts[Count.VIOLATION]

    @property
    def held(self) -> bool:
        """Whether no read was stale, no change was lost, and the cache agreed with the database at the end.

        A long run must also have met each fault of the network.
        """
        end = self.final
        found = self.violations or self.counts[Count.FOUND_STALE] or end.pending or end.lost or end.different
        return not found and (self.seconds < _EACH_MET_AFTER_S or all(self.met.values()))

    def __str__(self) -> str:
        end = self.final
        lines = [
            f"{self.operations:,} operations in {self.seconds:.0f} s, kind of cache: {self.kind}",
            f"{self.violations:,} violations: reads older than a write that was acknowledged before they began",
            f"{end.lost:,} invalidations lost, {end.pending:,} pending, {end.drained_s:.1f} s after the last write",
            f"{end.different:,} of {end.compared:,} answers ({end.from_cache:,} were hits) differed from the database",
            f"{self.longest_ms / 1000:.2f} s was the longest wait for an answer",
            "",
            *(f"{count:>9,} {what.value}" for what, count in self.counts.items() if what is not Count.VIOLATION),
            "",
            *(f"{count:>9,} {name}" for name, count in self.sources.items() if count),
            "",
            *(f"{count:>9,} {name}" for name, count in sorted(self.faults.items())),
            *(f"{count:>9,} {kind} between cache and clients" for kind, count in self.met.items()),
            *("", *self.examples) * bool(self.examples),
        ]
        return "\n".join(lines)

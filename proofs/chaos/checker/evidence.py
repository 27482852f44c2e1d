"""What the record says about the stack during an operation: what could answer, and which faults were in progress."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from proofs.chaos.history import History, Injected, Operation

__all__ = ["Evidence"]

# A failed load is shared for a second, and the next attempt may take another: so a failure tells of the time before.
_BEFORE_S: Final = 2.5
# After the second that counted as the recovery.
_AFTER_RECOVERY_S: Final = 1.0
_PROMPT_S: Final = 0.5
_BETWEEN_PROBES_S: Final = 1.5
# A busy machine notices the end of a process late.
_NOTICED_S: Final = 5.0
# An entry whose store was under way is not usable yet.
_STORED_S: Final = 1.0
# While a clock is wrong, and as long as an entry lives that was stored then, an age tells nothing.
_LIFE_OF_ENTRY_S: Final = 20.0
# The faults during which code answers whose entries have other keys. Code with another ttl uses the same ones.
_OTHER_KEYS: Final = ("another statement", "another format", "old and new code killed", "catalogue edited")
_KILLED: Final = ": the sandbox ended with status -9"
_FUNCTIONS: Final = {"write": "CommandFunction"}


class Evidence:
    """Answers questions about the time of an operation. An entry without evidence proves nothing."""

    def __init__(self, history: History) -> None:
        self._probes = sorted(history.probes, key=lambda probe: probe.begin)
        self._probe_ends = [probe.end for probe in self._probes]
        self._faults = history.injected
        self._killed = [
            (failure.text.removesuffix(_KILLED), failure.at)
            for failure in history.failures
            if failure.text.endswith(_KILLED) and self._killing(failure.at)
        ]
        self._hits: dict[int | None, list[Operation]] = {}
        for each in sorted(history.operations, key=lambda operation: operation.begin):
            if "; hit" in each.cache_status:
                self._hits.setdefault(each.row, []).append(each)

    def database_could_answer(self, operation: Operation) -> bool:
        """Whether PostgreSQL answered promptly all the time, and no fault of it could hit a single session."""
        if self._hit("database", operation):
            return False
        begin, end = operation.begin - _BEFORE_S, operation.end
        last = begin
        for probe in self._probes[bisect_left(self._probe_ends, begin) :]:
            if not probe.answered or probe.end - probe.begin > _PROMPT_S or probe.begin - last > _BETWEEN_PROBES_S:
                return False
            last = probe.end
            if probe.begin > end:
                return True
        return False

    def sandbox_ended(self, operation: Operation) -> bool:
        """Whether a fault killed a sandbox of its function during the operation. Such requests are counted apart."""
        own = _FUNCTIONS.get(operation.kind, "QueryFunction")
        return any(name == own and operation.begin <= at <= operation.end + 1.0 for name, at in self._killed)

    def usable_entry(self, read: Operation) -> Operation | None:
        """Return a later hit whose entry had been stored before the read began.

        None while the cache was hit, or while other code ran that does not find the entries of this one.
        """
        if self._hit("cache", read) or self._has_other_keys(read):
            return None
        for hit in self._hits.get(read.row, []):
            if hit.begin > read.end and hit.age is not None and hit.end - hit.age < read.begin - _STORED_S:
                return hit if self._clocks_were_right(hit) and not self._has_other_keys(hit) else None
        return None

    def functions_hit_s(self, operation: Operation) -> float:
        """Return for how long faults were in progress during the operation that kill or freeze sandboxes."""
        return sum(
            max(0.0, min(fault.end, operation.end) - max(fault.begin, operation.begin))
            for fault in self._faults
            if fault.name.startswith("sandboxes")
        )

    def _killing(self, at: float) -> bool:
        """Whether a fault that kills sandboxes was in progress, or had just ended."""
        return any(
            fault.name.startswith("sandboxes") and fault.begin <= at <= fault.end + _NOTICED_S for fault in self._faults
        )

    def _clocks_were_right(self, hit: Operation) -> bool:
        return not any(
            fault.name.startswith("clock") and fault.begin <= hit.end and hit.begin <= fault.end + _LIFE_OF_ENTRY_S
            for fault in self._faults
        )

    def _has_other_keys(self, operation: Operation) -> bool:
        return any(any(other in fault.name for other in _OTHER_KEYS) for fault in self._meanwhile(operation))

    def _hit(self, group: str, operation: Operation) -> bool:
        return any(fault.group == group for fault in self._meanwhile(operation))

    def _meanwhile(self, operation: Operation) -> Iterator[Injected]:
        """Yield the faults that were in progress, or the recovery from which was."""
        for fault in self._faults:
            ends = fault.end + (fault.recovered_s or 0.0) + _AFTER_RECOVERY_S
            if fault.begin <= operation.end and operation.begin <= ends:
                yield fault

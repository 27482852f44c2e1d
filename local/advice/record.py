"""What was recorded about the statements that a database ran, by pg_stat_statements or in its log."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["Record", "Statement", "writes_to"]

_WRITTEN: Final = re.compile(
    r"\b(?:insert\s+into|(?<!for )(?<!key )update(?:\s+only)?|delete\s+from(?:\s+only)?|merge\s+into(?:\s+only)?|copy|"
    r'truncate(?:\s+table)?)\s+((?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+))?)',
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Statement:
    """All calls of one statement, whatever their values."""

    key: str  # the SQL with a parameter for each value
    sql: str  # the same with the values that never changed
    calls: int
    total_ms: float
    questions: int | None = None  # how many different values it was called with, None if that is not recorded
    examples: Mapping[str, Any] = field(default_factory=dict)  # values by number of the parameter

    @property
    def mean_ms(self) -> float:
        """The time of one call."""
        return self.total_ms / self.calls


@dataclass(frozen=True, slots=True)
class Record:
    """Statements that ran within `seconds`."""

    source: str
    statements: Sequence[Statement]
    seconds: float
    has_writes: bool  # whether all statements that write are among them

    @property
    def total_ms(self) -> float:
        """The time of all statements."""
        return sum(each.total_ms for each in self.statements)


def writes_to(key: str) -> list[str]:
    """Return the names of the tables that a statement writes to, as they are written. `key` has no strings."""
    return _WRITTEN.findall(key)

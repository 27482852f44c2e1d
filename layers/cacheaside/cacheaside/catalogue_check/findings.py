"""What a check finds: problems, with which a catalogue is refused, and warnings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["CatalogueCheck", "Finding", "Fix", "Message"]


@dataclass(frozen=True, slots=True)
class Fix:
    """What corrects a finding: a line in place of that of the header, or a statement for a migration."""

    header: str = ""
    statement: str = ""


Message = tuple[str, Fix | None]


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One problem or warning, and the line to correct."""

    path: Path
    line: int
    message: str
    fix: Fix | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True, slots=True)
class CatalogueCheck:
    """The result for a whole catalogue."""

    queries: int
    tables: int  # that the queries read, with materialized views
    problems: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()

    def __str__(self) -> str:
        lines = [
            *map(str, self.problems),
            *(f"{each.path}:{each.line}: warning: {each.message}" for each in self.warnings),
        ]
        if not self.problems and not self.queries:
            lines.append("The catalogue has no queries")
        elif not self.problems:
            queries = _counted(self.queries, "query reads", "queries read")
            tables = _counted(self.tables, "table", "tables")
            lines.append(f"{queries} {tables}; every tag is right, every table is watched")
        return "\n".join(lines)


def _counted(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"

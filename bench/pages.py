"""Pages in docs/ whose tables a program writes, between two comments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["put_between", "table"]


def put_between(page: Path, begin: str, end: str, text: str) -> None:
    """Replace what the page has between the first `begin` and the next `end`. Raises ValueError if it lacks one."""
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"{page.name} has no place between {begin.strip()} and {end.strip()}")
    page.write_text(f"{before}{begin}{text}{end}{after}", encoding="utf-8")


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table whose first column is text, and whose others are figures."""
    dashes = ["---", *["---:"] * (len(header) - 1)]
    return "".join(f"| {' | '.join(map(str, row))} |\n" for row in (header, dashes, *rows))

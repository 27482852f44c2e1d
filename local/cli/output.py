"""Tables and JSON for the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import click

__all__ = ["print_json", "table"]


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return aligned lines: the head, a rule, and the rows. Columns with an index in `right` are aligned right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    lines.insert(1, ["─" * width for width in widths])
    return "\n".join("  ".join(_aligned(line, widths, right)).rstrip() for line in lines)


def _aligned(line: Sequence[str], widths: Sequence[int], right: Sequence[int]) -> Iterator[str]:
    for at, (cell, width) in enumerate(zip(line, widths, strict=True)):
        yield cell.rjust(width) if at in right else cell.ljust(width)


def print_json(document: Any) -> None:
    """Print `document` for a script. Control characters are escaped: it may be read at a terminal, too."""
    text = json.dumps(document, indent=2, ensure_ascii=False, default=str)
    click.echo("".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text))

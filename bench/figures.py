"""The results of a measurement: figures with their aims, and a table of absolute values.

Each measurement is a module with a function `measure`, of running servers and a size. `run` is the command line of such
a module: `python -m bench.NAME [SIZE]`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.measuring import Spread
from bench.query_stack import QueryStack, query_stack

__all__ = ["Figure", "Results", "markdown", "run"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its spread. Figures of one group have one unit. `aim` is the most that it should be, if any."""

    group: str
    label: str
    unit: str
    value: float
    low: float
    high: float
    aim: float | None = None

    @classmethod
    def of(cls, group: str, label: str, unit: str, spread: Spread, aim: float | None = None) -> Figure:
        return cls(group, label, unit, spread.median, spread.low, spread.high, aim)

    @classmethod
    def count(cls, group: str, label: str, unit: str, value: float, aim: float | None = None) -> Figure:
        """Return a figure that was counted, and has no spread."""
        return cls(group, label, unit, value, value, value, aim)

    @property
    def name(self) -> str:
        return f"{self.group}: {self.label}"

    @property
    def aim_text(self) -> str:
        return "" if self.aim is None else f"≤ {self.aim:g}"

    @property
    def met(self) -> str:
        return "" if self.aim is None else "yes" if self.value <= self.aim else "no"

    @property
    def text(self) -> str:
        spread = "" if self.low == self.high else f" ({_rounded(self.low)}–{_rounded(self.high)})"
        return f"{_rounded(self.value)} {self.unit}".strip() + spread


@dataclass(frozen=True, slots=True)
class Results:
    """`head` and `rows` are a table of absolute values, if there is one. Compare those of one run only."""

    figures: Sequence[Figure]
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def run(measure: Callable[[QueryStack, int], Results], size: int) -> None:
    """Measure with the size on the command line, or `size`, and print the results."""
    with query_stack() as stack:
        results = measure(stack, int(sys.argv[1]) if len(sys.argv) > 1 else size)
    rows = [(figure.name, figure.text, figure.aim_text) for figure in results.figures]
    print(markdown(("", "measured", "aim"), rows), markdown(results.head, results.rows), sep="\n\n")


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown. All columns but the first are numbers."""
    rule = "|---" + "|---:" * (len(head) - 1) + "|"
    return "\n".join([f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(row)} |" for row in rows)])


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"

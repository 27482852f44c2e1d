"""The result of a soak as a table, for the terminal and for docs/reliability.md, and as a plot."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.pages import put_between
from bench.plots import Panel, Series, lines
from proofs.soak.samples import GROUPS
from proofs.soak.trend import FLAT_SHARE, Trend, trend

__all__ = ["DOCS", "SoakReport", "in_order"]

DOCS: Final = Path(__file__).parents[2] / "docs"
_PAGE: Final = "reliability.md"
_PLOT: Final = "figures/soak.svg"
_BEGIN, _END = "<!-- soak -->\n", "<!-- end -->\n"
_PLOTTED: Final = ("memory, MB", "file descriptors", "keys", "rows")
_CURVES: Final = 6  # as many as there are colours
_UNEXPECTED_AT_MOST: Final = 0.001  # of the requests: a machine that stalls makes some late


@dataclass(frozen=True, slots=True)
class SoakReport:
    """The samples of a soak: their times, in seconds after its begin, and the values of each series."""

    seconds: Sequence[float]
    series: Mapping[str, Sequence[float]]
    warm_up_s: float
    requests: int
    unexpected: Mapping[str, int]
    replaced: int  # sandboxes that did not live from the end of the warm-up until now

    @property
    def trends(self) -> dict[str, Trend]:
        """Return the trend of each series after the warm-up."""
        first = next(index for index, at in enumerate(self.seconds) if at >= self.warm_up_s)
        return {name: trend(self.seconds[first:], values[first:]) for name, values in self.series.items()}

    @property
    def growing(self) -> list[str]:
        return [name for name, found in self.trends.items() if found.grows]

    @property
    def held(self) -> bool:
        """Return whether no series grows, every sandbox lived on, and requests were answered as they should be."""
        unexpected = sum(self.unexpected.values())
        return not self.growing and not self.replaced and unexpected <= _UNEXPECTED_AT_MOST * self.requests

    def __str__(self) -> str:
        rows = ["| series | level | slope an hour | between | and, of the level | |", "|---|---:|---:|---:|---:|---|"]
        for name, found in self.trends.items():
            share = f"{found.high / found.level:+.1%}" if found.level else "–"
            verdict = "**grows**" if found.grows else "a step" if found.rises else "flat"
            bounds = f"{found.low:+,.2f} … {found.high:+,.2f}"
            rows.append(f"| {name} | {found.level:,.1f} | {found.slope:+,.2f} | {bounds} | {share} | {verdict} |")
        unexpected = ", ".join(f"{count} × {what}" for what, count in sorted(self.unexpected.items()))
        minutes, rate = self.seconds[-1] / 60, self.requests / self.seconds[-1]
        rows += [
            "",
            f"{minutes:.1f} minutes, {self.warm_up_s / 60:.1f} of them warm-up; {len(self.seconds):,} samples;"
            f" {self.requests:,} requests, {rate:.0f} a second; {self.replaced} sandboxes replaced.",
            f"Unexpected: {unexpected or 'none'}.",
            f"{len(self.growing)} of {len(self.trends)} series grow: in both halves, with a slope that is positive for"
            f" certain, and may be more than {FLAT_SHARE:.0%} of the level an hour.",
        ]
        return "\n".join(rows) + "\n"

    def save(self, path: Path) -> None:
        """Write all samples as CSV, to look into a series that grows."""
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["seconds", *self.series])
            writer.writerows(zip(self.seconds, *self.series.values(), strict=True))

    def write(self, folder: Path = DOCS) -> None:
        """Put the table and the plot into the folder of the documentation."""
        put_between(folder / _PAGE, _BEGIN, _END, str(self))
        lines(folder / _PLOT, "An hour of mixed load: nothing grows" if self.held else "A soak", self._panels())

    def _panels(self) -> list[Panel]:
        minutes = [at / 60 for at in self.seconds]
        panels = []
        for group in _PLOTTED:
            prefix = f"{group}: "
            named = {name.removeprefix(prefix): each for name, each in self.series.items() if name.startswith(prefix)}
            largest = sorted(named, key=lambda name: -max(named[name]))[:_CURVES]
            series = [Series(name, minutes, named[name]) for name in largest]
            marks = [(self.warm_up_s / 60, "judged from here")]
            panels.append(Panel(group, "minutes", group, series, log_y=group != "rows", marks=marks))
        return panels


def in_order(series: Mapping[str, Sequence[float]]) -> dict[str, Sequence[float]]:
    """Return the series by group."""
    groups = {name: GROUPS.index(name.partition(": ")[0]) for name in series}
    return {name: series[name] for name in sorted(series, key=lambda name: groups[name])}

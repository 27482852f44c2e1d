"""Plots as SVG that read well on a light and on a dark page, and without the text around them.

Text and axes have the colour `currentColor`, which a style sheet in the file sets for each colour scheme. The
background is transparent. Labels stand beside the bars and curves, so there is no legend. The same figures give the
same bytes.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["COLOURS", "DARK_PAGE", "LIGHT_PAGE", "Bar", "Group", "Panel", "Series", "bars", "lines"]

COLOURS: Final = ("#2f7fe0", "#d2691e", "#2c9a5b", "#a35fe0", "#d9486a", "#7d8590")  # each can be read on both pages
LIGHT_PAGE, DARK_PAGE = "#ffffff", "#0d1117"

_INK: Final = "#010203"  # no other element has this colour, so it can be replaced in the finished file
_FONT: Final = "DejaVu Sans"  # comes with matplotlib, which measures texts with it; Verdana has nearly its widths
_STYLE_SHEET: Final = (
    "<style>svg { color: #1f2328 } @media (prefers-color-scheme: dark) { svg { color: #e6edf3 } }</style>"
)
_SETTINGS: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "cacheaside",
    "font.family": _FONT,
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
}
_INCHES: Final = 8.0
_TITLE_COLUMNS: Final = 84
_LABEL_DISTANCE: Final = 0.085  # of a panel's height, so that labels do not cover each other


@dataclass(frozen=True, slots=True)
class Bar:
    """A value and its spread. `before` is the value that an earlier run had, drawn as a small mark.

    The aim of the group is for bars that are `judged`. The others are grey.
    """

    label: str
    value: float
    low: float
    high: float
    before: float | None = None
    judged: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    """Bars of one unit, and the most that they should be."""

    title: str
    axis: str
    aim: float
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class Series:
    label: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves over one pair of axes. `marks` are vertical lines: where on the x axis, and what happened there."""

    title: str
    x_axis: str
    y_axis: str
    series: Sequence[Series]
    log_x: bool = False
    log_y: bool = False
    marks: Sequence[tuple[float, str]] = ()


def bars(path: Path, title: str, groups: Sequence[Group]) -> None:
    """Write horizontal bars with their spread and values; a dashed line is the aim of a group."""
    rows = [len(group.bars) + 1.6 for group in groups]
    with rc_context(_SETTINGS):
        figure = Figure(figsize=(_INCHES, 0.6 + 0.3 * sum(rows)), layout="constrained")
        all_axes = figure.subplots(len(groups), 1, squeeze=False, height_ratios=rows)[:, 0]
        for axes, group in zip(all_axes, groups, strict=True):
            _draw_bars(axes, group)
        _write(figure, title, path)


def lines(path: Path, title: str, panels: Sequence[Panel]) -> None:
    """Write panels of curves, one below the other; each curve has its label at its right end."""
    with rc_context(_SETTINGS):
        figure = Figure(figsize=(_INCHES, 0.4 + 2.4 * len(panels)), layout="constrained")
        all_axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        for axes, panel in zip(all_axes, panels, strict=True):
            _draw_panel(axes, panel)
        _write(figure, title, path)


def _draw_bars(axes: Axes, group: Group) -> None:
    widest = max(group.aim, *(max(bar.high, bar.before or 0) for bar in group.bars))
    for row, bar in enumerate(group.bars):
        judged = COLOURS[0] if bar.value <= group.aim else COLOURS[1]
        axes.barh(row, bar.value, height=0.62, color=judged if bar.judged else COLOURS[-1])
        axes.plot([bar.low, bar.high], [row, row], color=_INK, linewidth=1.2)
        if bar.before is not None:
            axes.plot([bar.before], [row], marker="D", markersize=4, color=_INK, fillstyle="none")
        spread = f" ({bar.low:.3g}–{bar.high:.3g})" if bar.low < bar.high else ""
        before = "" if bar.before is None else f", ◇ before: {bar.before:.3g}"
        text = axes.text(widest * 1.03, row, f"{bar.value:.3g}{spread}{before}", va="center")
        text.set_in_layout(False)  # the limit of the x axis leaves room for it
    axes.axvline(group.aim, color=_INK, linestyle="--", linewidth=1)
    _note(axes, group.aim, f"aim ≤ {group.aim:g}")
    axes.set_yticks(range(len(group.bars)), [bar.label for bar in group.bars])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(group.bars) - 0.5, -1)
    axes.set_xlim(0, widest * 1.6)
    axes.set_title(group.title)
    axes.set_xlabel(group.axis)


def _draw_panel(axes: Axes, panel: Panel) -> None:
    axes.set_xscale("log" if panel.log_x else "linear")
    axes.set_yscale("log" if panel.log_y else "linear")
    for series, colour in zip(panel.series, COLOURS[: len(panel.series)], strict=True):
        axes.plot(series.x, series.y, color=colour, linewidth=1.8)
    for at, what in panel.marks:
        axes.axvline(at, color=_INK, linestyle=":", linewidth=1)
        _note(axes, at, what)
    axes.grid(axis="y", color=_INK, alpha=0.15)
    axes.margins(x=0)
    axes.set_title(panel.title)
    axes.set_xlabel(panel.x_axis)
    axes.set_ylabel(panel.y_axis)
    axes.autoscale_view()  # matplotlib would do it later, and the labels are placed by the limits
    _label_ends(axes, panel.series)


def _label_ends(axes: Axes, all_series: Sequence[Series]) -> None:
    """Write each label right of the last point of its curve, and lift it where another one would cover it."""
    to_fraction = axes.transData + axes.transAxes.inverted()
    ends = [to_fraction.transform((series.x[-1], series.y[-1]))[1] for series in all_series]
    lowest = 0.0
    for place in sorted(range(len(ends)), key=ends.__getitem__):
        height = max(float(ends[place]), lowest)
        lowest = height + _LABEL_DISTANCE
        label, colour = all_series[place].label, COLOURS[place]
        axes.annotate(label, (1.01, height), xycoords="axes fraction", color=colour, va="center", annotation_clip=False)


def _note(axes: Axes, x: float, text: str) -> None:
    """Write right of a vertical line what it stands for."""
    axes.annotate(
        text,
        (x, 1),
        xycoords=("data", "axes fraction"),
        xytext=(3, 0),
        textcoords="offset points",
        va="top",
        style="italic",
    )


def _write(figure: Figure, title: str, path: Path) -> None:
    figure.suptitle(textwrap.fill(title, _TITLE_COLUMNS), x=0.01, ha="left", fontsize=11, fontweight="bold")
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Title": title})
    svg = buffer.getvalue().replace(_INK, "currentColor").replace(f"'{_FONT}'", f"'{_FONT}', Verdana, sans-serif")
    head, defs, rest = svg.partition("<defs>")
    # Lines end in blanks in what matplotlib writes.
    clean = "\n".join(line.rstrip() for line in f"{head}{_STYLE_SHEET}\n {defs}{rest}".splitlines()) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(clean)

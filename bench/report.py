"""Writes the results of `make bench` into docs/benchmarks.md, and the plots that it shows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Final

from bench.figures import Figure, Results, markdown
from bench.pages import put_between
from bench.plots import Bar, Group, bars

__all__ = ["write_report"]

_BEGIN: Final = "<!-- written by `make bench`, from here -->\n"
_END: Final = "<!-- written by `make bench`, to here -->\n"
# `.local/bench/figures.json` of the code before the issue about speed, at commit 7fb2743.
_BEFORE: Final = Path(__file__).with_name("before.json")
# Each plot: its file, its title, with the value of its first figure, and the measurements that it shows.
_PLOTS: Final = (
    (
        "speed-hits",
        "A hit through the handler takes {:.1f} × the CPU of a bare MGET by redis-py",
        ("hits", "served_hits"),
    ),
    (
        "speed-others",
        "A cold start takes {:.1f} × the CPU of its two drivers alone. Below: misses, memory, log",
        ("cold_start", "misses", "memory", "log_bytes"),
    ),
    (
        "speed-stampedes",
        "Loads when an answer expires for which many clients ask: {:.0f} of ours",
        ("stampedes",),
    ),
)


def write_report(root: Path, machine: str, results: Mapping[str, Results]) -> None:
    """Write `.local/bench/figures.json`, the plots and the part of the page between the two comments, all in `root`."""
    before = {figure.name: figure for figure in _before()}
    figures = [figure for result in results.values() for figure in result.figures]
    path = root / ".local" / "bench" / "figures.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine, "figures": [asdict(figure) for figure in figures]}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    for name, title, shown in _PLOTS:
        groups = [group for each in shown for group in _groups(results[each].figures, before)]
        bars(root / "docs" / "figures" / f"{name}.svg", title.format(results[shown[0]].figures[0].value), groups)
    page = root / "docs" / "benchmarks.md"
    text = "\n\n".join(_parts(machine, results, before))
    put_between(page, _BEGIN, _END, f"\n{text}\n\n")


def _before() -> list[Figure]:
    return [Figure(**figure) for figure in json.loads(_BEFORE.read_text())["figures"]]


def _groups(figures: Sequence[Figure], before: Mapping[str, Figure]) -> Iterator[Group]:
    """Yield a group of bars for each group of figures that has an aim."""
    by_group = sorted(figures, key=lambda figure: [each.group for each in figures].index(figure.group))
    for title, group in groupby(by_group, lambda figure: figure.group):
        members = list(group)
        aims = [figure.aim for figure in members if figure.aim is not None]
        if aims:
            yield Group(title, members[0].unit, aims[0], [_bar(figure, before.get(figure.name)) for figure in members])


def _bar(figure: Figure, before: Figure | None) -> Bar:
    earlier = before.value if before else None
    return Bar(figure.label, figure.value, figure.low, figure.high, earlier, judged=figure.aim is not None)


def _parts(machine: str, results: Mapping[str, Results], before: Mapping[str, Figure]) -> Iterator[str]:
    before_on = json.loads(_BEFORE.read_text())["machine"]
    yield f"Measured on {machine}.\n\n*Before* is commit 7fb2743 with its packages, on {before_on}."
    figures = [figure for result in results.values() for figure in result.figures]
    yield _table([figure for figure in figures if figure.aim is not None], before)
    for name, title, shown in _PLOTS:
        yield f"![{title.format(results[shown[0]].figures[0].value)}](figures/{name}.svg)"
    for name, result in results.items():
        without_aim = [figure for figure in result.figures if figure.aim is None]
        yield f"`python -m bench.{name}`:"
        if result.rows:
            yield markdown(result.head, result.rows)
        if without_aim:
            yield _table(without_aim, before)


def _table(figures: Sequence[Figure], before: Mapping[str, Figure]) -> str:
    head = ("", "aim", "before", "now", "met")
    rows = [
        (
            figure.name,
            figure.aim_text,
            before[figure.name].text if figure.name in before else "",
            figure.text,
            figure.met,
        )
        for figure in figures
    ]
    return markdown(head, rows)

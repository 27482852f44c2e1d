"""The report replaces only its own part of the page, and says of each aim whether it is met."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import report
from bench.figures import Figure, Results
from tests.support.root import ROOT

MEASUREMENTS = ("hits", "served_hits", "cold_start", "misses", "memory", "log_bytes", "stampedes")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "docs" / "benchmarks.md"
    path.parent.mkdir()
    path.write_text((ROOT / "docs" / "benchmarks.md").read_text())
    return path


def write(page: Path, value: float) -> str:
    figure = Figure("hit, CPU ÷ MGET", "0.2 kB", "×", value, value, value, aim=2)
    report.write_report(page.parents[1], "a machine", dict.fromkeys(MEASUREMENTS, Results([figure])))
    return page.read_text()


def test_the_rest_of_the_page_stays(page: Path) -> None:
    before = page.read_text()
    text = write(page, 1.5)
    for edge in (0, -1):
        marks = [report._BEGIN, report._END]
        assert text.split(marks[edge])[edge] == before.split(marks[edge])[edge]
    assert write(page, 1.5) == text


@pytest.mark.parametrize(("value", "met"), [(2.0, "yes"), (2.1, "no")])
def test_a_figure_is_compared_with_its_aim(page: Path, value: float, met: str) -> None:
    assert f"| hit, CPU ÷ MGET: 0.2 kB | ≤ 2 |  | {value:.3g} × | {met} |" in write(page, value)


def test_the_page_shows_the_plots_that_are_written(page: Path) -> None:
    text = write(page, 1.5)
    plots = sorted(path.name for path in (page.parent / "figures").iterdir())
    assert plots == ["speed-hits.svg", "speed-others.svg", "speed-stampedes.svg"]
    assert all(f"(figures/{name})" in text for name in plots)

"""Plots can be read on a light and on a dark page, and the same figures give the same file."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from bench.plots import COLOURS, DARK_PAGE, LIGHT_PAGE, Bar, Group, Panel, Series, bars, lines

LEAST_CONTRAST = 3.0  # of graphics and large text, WCAG 2.2


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "figures" / "figure.svg"


def write_bars(path: Path) -> None:
    bars(path, "A hit is cheap", [Group("CPU", "÷ MGET", 2.0, [Bar("0.2 kB", 1.8, 1.7, 1.9, before=3.1)])])


def write_lines(path: Path, ends: tuple[float, ...] = (1, 1, 2)) -> None:
    series = [Series(f"series {number}", [1, 10], [5, end]) for number, end in enumerate(ends)]
    lines(path, "Loads stay low", [Panel("Loads", "seconds", "a second", series, log_y=True, marks=[(3, "failover")])])


def heights(path: Path) -> dict[str, float]:
    """Return each text of the plot, and how far from its upper edge it stands."""
    return {text: float(y) for y, text in re.findall(r'<text [^>]*y="([\d.]+)"[^>]*>([^<]+)</text>', path.read_text())}


@pytest.mark.parametrize("page", [LIGHT_PAGE, DARK_PAGE])
@pytest.mark.parametrize("colour", COLOURS)
def test_each_colour_can_be_read_on_each_page(colour: str, page: str) -> None:
    assert contrast(colour, page) >= LEAST_CONTRAST


@pytest.mark.parametrize("write", [write_bars, write_lines])
def test_only_the_colours_of_the_palette_do_not_follow_the_page(write: Callable[[Path], None], path: Path) -> None:
    write(path)
    drawn = path.read_text().partition("</style>")[2]
    assert "currentColor" in drawn
    assert set(re.findall(r"#[0-9a-f]{6}", drawn)) <= set(COLOURS)
    assert "prefers-color-scheme: dark" in path.read_text()


@pytest.mark.parametrize("write", [write_bars, write_lines])
def test_the_same_figures_give_the_same_file(write: Callable[[Path], None], path: Path) -> None:
    write(path)
    first = path.read_bytes()
    write(path)
    assert path.read_bytes() == first
    assert b"dc:date" not in first


def test_bars_tell_their_values_and_the_aim(path: Path) -> None:
    write_bars(path)
    assert {"A hit is cheap", "0.2 kB", "1.8 (1.7–1.9), ◇ before: 3.1", "aim ≤ 2", "÷ MGET"} <= heights(path).keys()


@pytest.mark.parametrize(("value", "judged", "colour"), [(1, True, 0), (3, True, 1), (3, False, -1)])
def test_a_bar_above_the_aim_has_another_colour_and_one_without_aim_is_grey(
    value: float, judged: bool, colour: int, path: Path
) -> None:
    bars(path, "", [Group("", "", 2.0, [Bar("", value, value, value, judged=judged)])])
    assert set(re.findall(r"#[0-9a-f]{6}", path.read_text().partition("</style>")[2])) == {COLOURS[colour]}


def test_labels_of_curves_that_end_together_do_not_cover_each_other(path: Path) -> None:
    write_lines(path)
    of_labels = sorted(heights(path)[f"series {number}"] for number in range(3))
    assert min(after - before for before, after in pairwise(of_labels)) >= 9

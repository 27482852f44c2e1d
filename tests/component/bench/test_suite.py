"""`make bench` at its smallest size, with its own environment and real servers. Counts are asserted, and no times."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.component.support.checkout import copy_project
from tests.support.root import ROOT

PYTHON = ROOT / ".venv-bench" / "bin" / "python"  # of `make test`, or `make .venv-bench`


@pytest.fixture(scope="module")
def folder(new_folder: Callable[[str], Path]) -> Path:
    """The report of a run in a copy of the project, whose timeouts let each hit be one on a slow machine."""
    project = copy_project(new_folder("bench")).folder
    for name in ("bench", "docs", "tests/functions"):
        shutil.copytree(ROOT / name, project / name, symlinks=True)
    report = new_folder("report")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["layers/cacheaside", "functions", "."])}
    subprocess.run([PYTHON, "-m", "bench", "--quick", report], cwd=project, env=environment, check=True)
    return report


@pytest.fixture(scope="module")
def figures(folder: Path) -> dict[str, Any]:
    content = json.loads((folder / ".local" / "bench" / "figures.json").read_text())
    return {f"{figure['group']}: {figure['label']}": figure for figure in content["figures"]}


def test_a_miss_asks_the_cache_three_times(figures: dict[str, Any]) -> None:
    assert figures["miss, round trips to the cache: look, acquire, store"]["value"] == 3


def test_loads_are_counted(figures: dict[str, Any]) -> None:
    assert [figures[f"loads for 4 clients: {name}"]["value"] for name in ("ours", "ours, stale = 10m")] == [1, 1]
    assert figures["loads for 4 clients: redis-py, GET and SETEX"]["value"] > 1


@pytest.mark.parametrize("rate", [1, 10, 50])
def test_bytes_of_the_log_are_counted(rate: int, figures: dict[str, Any]) -> None:
    assert 0 < figures[f"log, bytes of a hit: {rate} hits a second of one query"]["value"] < 1_000


def test_each_aim_of_the_issue_has_its_figures(figures: dict[str, Any]) -> None:
    aims: dict[str, set[float]] = {}
    for figure in figures.values():
        assert 0 < figure["low"] <= figure["value"] <= figure["high"]
        if figure["aim"] is not None:
            aims.setdefault(figure["group"], set()).add(figure["aim"])
    assert aims == {
        "hit, CPU ÷ MGET by redis-py": {2.0},
        "hit, wall p50 ÷ MGET by redis-py": {1.5},
        "hit, CPU ÷ another client or library": {1.5},
        "served hit, CPU ÷ Flask under gunicorn": {0.7},
        "cold start, CPU ÷ that of redis and psycopg2": {1.25},
        "miss, wall ÷ bare query": {1.05},
        "miss, round trips to the cache": {3},
        "memory ÷ size of the answer": {3},
        "log, bytes of a hit": {30},
        "loads for 4 clients": {1},
    }


def test_the_page_and_its_plots_are_written(folder: Path) -> None:
    page = (folder / "docs" / "benchmarks.md").read_text()
    for plot in (folder / "docs" / "figures").iterdir():
        assert f"(figures/{plot.name})" in page
    assert page.count("`python -m bench.stampedes`:") == 1

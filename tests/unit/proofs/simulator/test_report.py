"""The tables and plots of the simulator, from small figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from proofs.simulator import report
from proofs.simulator.incidents import Setting, simulate
from proofs.simulator.strategies import LEASE, NAIVE


def test_a_table_replaces_the_one_before_in_its_place_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- simulate: herds -->\n| old |\n<!-- end -->\nafter\n<!-- end -->\n")
    table = report.herd_table({"a lease": 1_300.4})
    report.write_table("herds", table, page)
    report.write_table("herds", table, page)
    expected = "| 13,000 keys | loads/s |\n| --- | ---: |\n| a lease | 1,300 |\n"
    assert page.read_text() == f"before\n<!-- simulate: herds -->\n{expected}<!-- end -->\nafter\n<!-- end -->\n"
    with pytest.raises(ValueError, match="no place between <!-- simulate: growth -->"):
        report.write_table("growth", table, page)


def test_an_incident_is_a_row_for_each_strategy_and_a_plot(tmp_path: Path) -> None:
    setting = Setting(reads_per_s=20, keys=5, hot_keys=2, after_s=5)
    timelines = {each.name: simulate("expiry", each.name, setting) for each in (NAIVE, LEASE)}
    rows = report.incident_table(timelines).splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == ["| naive", "| lease"]
    report.plot_incident("expiry", "a title", timelines, tmp_path)
    plot = (tmp_path / "simulator-expiry.svg").read_text()
    assert all(text in plot for text in ("a title", "naive", "lease", "Database loads"))

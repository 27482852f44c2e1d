"""docs/costs.md and bench/costs.py agree with each other and with the template."""

from __future__ import annotations

import tomllib

import pytest

from bench.costs import ALARM_METRICS, PRICES, bill, tables
from tests.support.root import ROOT
from tests.template.support.stack import Stack, accept, read_template

PAGE = ROOT / "docs" / "costs.md"


@pytest.mark.parametrize("number", range(3))
def test_the_page_has_the_table_that_the_script_prints(number: int) -> None:
    assert f"\n{tables()[number]}\n" in PAGE.read_text()


def test_a_line_is_a_price_times_a_quantity() -> None:
    api = next(columns for what, columns in bill().items() if what.startswith("API"))
    assert api == pytest.approx([0, 100 * 730 * 3600 / 1e6 * 1.00] * 2)


@pytest.mark.parametrize("preset", ["dev", "prod"])
def test_the_classes_of_the_presets_have_a_price(preset: str) -> None:
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text())[preset]["global"]["parameters"]
    chosen = accept(dict(item.split("=") for item in settings["parameter_overrides"]), read_template())
    assert {chosen["DatabaseClass"], chosen["CacheClass"]} <= PRICES.keys()


def test_alarms_are_counted_by_the_metrics_that_they_look_at() -> None:
    alarms = Stack().of_type("AWS::CloudWatch::Alarm").values()
    looked_at = [
        metric for alarm in alarms for metric in alarm.get("Metrics", [{"MetricStat": alarm}]) if "MetricStat" in metric
    ]
    assert (len(alarms), len(looked_at)) == (21, ALARM_METRICS)

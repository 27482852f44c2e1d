"""Each parameter is in one group of the console, has a description, and a line in docs/deploying.md."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.template.support.choices import FREE, MODES, parameters_of
from tests.template.support.stack import ROOT, read_template

TABLE = (ROOT / "docs" / "deploying.md").read_text().partition("## Parameters")[2].partition("\n## ")[0]
PARAMETERS = read_template()["Parameters"]
# Free text, which no other parameter depends on: there is nothing to combine.
UNCOMBINED = {"SampleSize", "DatabasePort", "CachePort", "ReadsPerSecond", "WritesPerSecond"}


def test_each_parameter_is_in_one_group() -> None:
    groups = read_template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(PARAMETERS)


@pytest.mark.parametrize("name", PARAMETERS)
def test_each_parameter_is_described_here_and_in_the_table(name: str) -> None:
    assert PARAMETERS[name]["Description"]
    rows = [row for row in TABLE.splitlines() if re.match(r"\|.*`" + name + r"`.*\|.*\|.*\|$", row)]
    assert rows, f"docs/deploying.md has no line for {name}"


@pytest.mark.parametrize("name", PARAMETERS)
def test_each_parameter_is_tried_with_two_values(name: str) -> None:
    default = str(PARAMETERS[name]["Default"])
    tried = {parameters_of(mode).get(name, default) for mode in MODES}
    assert len(tried) > 1 or name in UNCOMBINED


def test_presets_are_combinations_of_values_that_are_tried() -> None:
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text())["prod"]["global"]["parameters"]
    for name, value in (item.split("=") for item in settings["parameter_overrides"]):
        if name in FREE and name not in {"DatabaseClass", "CacheClass"}:
            assert value in FREE[name], name

"""The last table of the runbook names each section, and the tests that follow it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tests.component.runbooks.runbook import SECTIONS
from tests.support.root import ROOT
from tests.template.support.stack import read_template

# They explain, and have no steps.
_NO_STEPS: Final = {"The dashboard", "Traces", "What has been rehearsed"}
_ROWS: Final = [
    ([title.strip() for title in titles.split(",")], followed)
    for titles, followed in re.findall(
        r"^\| ([A-Z][^|]+) \| ([^|]+) \| [^|]+ \|$", SECTIONS["What has been rehearsed"].text, re.MULTILINE
    )
]


def test_every_alarm_has_a_section() -> None:
    alarms = [each for each in read_template()["Resources"].values() if each["Type"] == "AWS::CloudWatch::Alarm"]
    anchors = {re.sub(r".*#", "", str(alarm["Properties"]["AlarmDescription"])).strip() for alarm in alarms}
    assert len(anchors) == len(alarms)
    assert anchors <= {title.lower().replace(" ", "-") for title in SECTIONS}


def test_table_has_every_section_once() -> None:
    listed = [title for titles, _ in _ROWS for title in titles]
    assert sorted(listed) == sorted(SECTIONS.keys() - _NO_STEPS)


def test_each_test_follows_its_sections() -> None:
    for titles, followed in _ROWS:
        for name in re.findall(r"`(test_\w+\.py)`", followed):
            path = Path(__file__).with_name(name)
            if path.exists():
                text = path.read_text()
                assert [title for title in titles if f'SECTIONS["{title}"]' not in text] == []
            else:  # elsewhere, without reading the runbook
                assert list((ROOT / "tests" / "component").rglob(name)), name

"""The printed result, and its place in docs/reliability.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from proofs.chaos import report
from proofs.chaos.campaign import Campaign
from proofs.chaos.checker import Violation
from proofs.chaos.history import History, Injected, Operation

FAILED = Operation(begin=1.0, end=2.5, kind="row", row=0, status=503, content_type="application/problem+json")
RIGHT = Operation(begin=3.0, end=3.1, kind="row", row=0, status=200, cache_status="cacheaside; hit; ttl=1")
LATER = Operation(begin=30.0, end=30.1, kind="write", row=0, status=200)


@pytest.fixture
def campaign() -> Campaign:
    killed = Injected("PostgreSQL killed", "database", 1.0, 2.0, 2.0)
    history = History(operations=[FAILED, RIGHT, LATER], injected=[killed])
    return Campaign("node", 60.0, history, {"disk full": "needs root"}, {"cache killed: refused": 2})


def test_row_of_a_fault_has_what_happened_from_its_begin_to_the_recovery(campaign: Campaign) -> None:
    assert "| PostgreSQL killed | 1 | 2 | 0 | 50.0% | 1.50 s | 2.0 s |" in report.describe([campaign], "make chaos")


def test_what_was_not_tried_is_said(campaign: Campaign) -> None:
    text = report.describe([campaign], "make chaos")
    assert "- not tried: disk full: needs root" in text
    assert "- not injected 2 ×: cache killed: refused" in text


def test_violations_are_counted_at_their_fault_and_printed_with_their_proof(campaign: Campaign) -> None:
    campaign.violations = [Violation("no needless 5xx", "why", (FAILED,)), Violation("well-formed", "how", (LATER,))]
    text = report.describe([campaign], "make chaos")
    assert "**2 violations**" in text
    assert "| PostgreSQL killed | 1 | 2 | 1 |" in text
    assert str(FAILED) in report.describe_violations([campaign])


def test_page_has_a_place_for_the_result(campaign: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "reliability.md"
    page.write_text(report.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(report, "PAGE", page)
    for _ in range(2):
        report.write_report([campaign], "make chaos")
    assert page.read_text(encoding="utf-8").count("| PostgreSQL killed |") == 1
    page.write_text("nothing", encoding="utf-8")
    with pytest.raises(ValueError, match="has no place"):
        report.write_report([campaign], "make chaos")

"""Tests that need a tool which not every machine has: skipped without it, and counted in one line at the end."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from typing import NoReturn

import pytest

__all__ = ["CATEGORY", "is_missing_tool", "skip_without_tool", "summary"]

CATEGORY = "skipped here"
_PREFIX = f"{CATEGORY}: "


def skip_without_tool(where: str, missing: str) -> NoReturn:
    """Skip the test that runs `where` ("in containers"). Fail it in CI (CI=true), which has every tool."""
    reason = f"{where} ({missing})"
    if os.environ.get("CI"):
        pytest.fail(f"this test runs {reason}")
    pytest.skip(_PREFIX + reason)


def is_missing_tool(report: pytest.TestReport | pytest.CollectReport) -> bool:
    return report.skipped and _reason(report).startswith(_PREFIX)


def summary(reports: Iterable[pytest.TestReport]) -> str:
    """Return the line for these reports, such as "skipped here: 25 tests in containers (no Docker engine answers)"."""
    counts = Counter(_reason(report).removeprefix(_PREFIX) for report in reports)
    (first, count), *others = counts.items()
    return f"{_PREFIX}{count} tests {first}" + "".join(f", {number} {reason}" for reason, number in others)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    return report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""

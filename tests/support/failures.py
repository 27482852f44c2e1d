"""Names a failed test as soon as it has failed: the run goes on for half an hour."""

from __future__ import annotations

import pytest

__all__ = ["FailuresAtOnce"]


class FailuresAtOnce:
    """A plugin of pytest."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            reasons = [line[2:].strip() for line in report.longreprtext.splitlines() if line.startswith("E ")]
            self._terminal.write_line(f"\n{report.when} of {report.nodeid} has failed: {' | '.join(reasons)[:500]}")

"""How long each folder of tests took, over all workers."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath

import pytest

__all__ = ["tell_durations"]


def tell_durations(reporter: pytest.TerminalReporter) -> None:
    """Write the seconds of each folder, the longest first. Writes nothing where fewer than two were tested."""
    seconds: Counter[str] = Counter()
    for report in (each for category in reporter.stats.values() for each in category):
        if isinstance(report, pytest.TestReport):
            file = PurePosixPath(report.nodeid.partition("::")[0])
            seconds["/".join(file.parent.parts[:3])] += report.duration
    if len(seconds) > 1:
        reporter.section("seconds by folder, summed over the workers")
        for folder, total in seconds.most_common():
            reporter.write_line(f"{total:7.1f} {folder}")

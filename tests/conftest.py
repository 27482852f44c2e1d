"""Hooks and fixtures of all tests."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from tests.support.durations import tell_durations
from tests.support.failures import FailuresAtOnce
from tests.support.missing_tool import CATEGORY, is_missing_tool, summary
from tests.support.scheduling import Scheduling, longest_first


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return Scheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    longest_first(items)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Give the processes that tests start the default action for each signal, as a terminal does.

    A shell starts `make test &` with SIGINT ignored, `nohup` with SIGHUP. Children inherit that, and Python does not
    install its KeyboardInterrupt handler then: a signal that comes before `local.signals` has run would be lost. A
    signal that is caught and not ignored is back at its default in a child (execve(2)). pytest goes on ignoring it.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    if terminal := config.pluginmanager.get_plugin("terminalreporter"):
        config.pluginmanager.register(FailuresAtOnce(terminal))


def pytest_report_teststatus(report: pytest.TestReport | pytest.CollectReport) -> tuple[str, str, str] | None:
    """Keep tests without their tool out of the list of skipped tests: the summary counts them in one line."""
    return (CATEGORY, "s", "SKIPPED") if is_missing_tool(report) else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    tell_durations(terminalreporter)
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{value} {name}")
    if reports := terminalreporter.getreports(CATEGORY):
        terminalreporter.write_line(summary(reports))


@pytest.fixture(scope="session")
def new_folder() -> Iterator[Callable[[str], Path]]:
    """Make a new folder, also if two tests choose the same name.

    Other users can open it, unlike those of pytest: root starts PostgreSQL as another user.
    """
    parent = Path(tempfile.mkdtemp(prefix="cacheaside-"))
    parent.chmod(0o755)

    def make(name: str) -> Path:
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
        folder.chmod(0o755)
        return folder

    yield make
    shutil.rmtree(parent)


# This machine may be busy with something else during an example.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

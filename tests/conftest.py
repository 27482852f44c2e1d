"""What every kind of test may need."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from tests.support.durations import tell_durations
from tests.support.scheduling import Scheduling, longest_first


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return Scheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    longest_first(items)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    tell_durations(terminalreporter)


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    """Not pytest's own: that is closed to other users, and PostgreSQL, started by root, runs as one."""
    path = Path(tempfile.mkdtemp(prefix="cacheaside-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


# An example may fall into a moment in which this machine does something else.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

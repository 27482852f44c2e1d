"""One stack for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.component.runbooks.faults import COMMANDS, QUERIES, SCHEMA
from tests.component.runbooks.stack import RunbookStack, running_stack


@pytest.fixture(scope="session")
def running(new_folder: Callable[[str], Path]) -> Iterator[RunbookStack]:
    with running_stack(new_folder("runbooks"), QUERIES, COMMANDS, SCHEMA) as stack:
        yield stack


@pytest.fixture
def stack(running: RunbookStack) -> RunbookStack:
    """The stack with an empty cache, without pending changes, and with logs that begin now."""
    with redis.Redis.from_url(running.valkey.url) as client:
        client.flushall()
    running.sweep()
    running.forget_logs()
    return running

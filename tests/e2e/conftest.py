"""The API under test. STACK=… or API_URL=… names it; with neither, a local stack is started for the suite."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support import local_stack
from tests.e2e.support.catalogue import Query
from tests.e2e.support.client import Client, unsigned
from tests.e2e.support.target import Target, of_environment


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "writes: changes something, and puts it back; left out by SMOKE=1")


@pytest.fixture(scope="session")
def under_test(servers_folder: Path) -> Iterator[Target]:
    if named := of_environment(os.environ):
        yield named
        return
    with local_stack.running(servers_folder / "e2e") as url:
        yield Target(url=url)


@pytest.fixture(scope="session")
def api(under_test: Target) -> Client:
    """Asks as somebody who may read and write."""
    return Client(under_test.url, under_test.authorize)


@pytest.fixture(scope="session")
def stranger(under_test: Target) -> Client:
    """Asks as nobody."""
    return Client(under_test.url, unsigned)


@pytest.fixture(scope="session")
def queries(api: Client) -> list[Query]:
    """Whatever is deployed: the sample's queries, or yours."""
    listed: list[Query] = api.get("/queries").json["data"]
    return listed


@pytest.fixture(scope="session")
def commands(api: Client) -> list[str]:
    paths = api.get("/openapi.json").json["paths"]
    return [path.removeprefix("/commands/") for path in paths if path.startswith("/commands/")]

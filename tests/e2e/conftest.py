"""The API under test. STACK=… or API_URL=… names it. With neither, the suite starts a stack on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.examples import claims_needed
from local.live.http import unsigned
from local.live.target import Target
from tests.component.support.checkout import copy_project
from tests.e2e.support.catalogue import Query
from tests.e2e.support.client import Client
from tests.e2e.support.target import of_environment


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "writes: changes data, and restores it; left out by SMOKE=1")


@pytest.fixture(scope="session")
def under_test(new_folder: Callable[[str], Path]) -> Iterator[Target]:
    if named := of_environment(os.environ):
        yield named
        return
    checkout = copy_project(new_folder("e2e"))
    # To a file: a pipe that is not read would fill up and block the stack.
    with (
        (checkout.folder / "run.log").open("w") as log,
        checkout.running(output=log, SAMPLE_SIZE="100"),
    ):
        yield Target(url=checkout.url)


@pytest.fixture(scope="session")
def api(under_test: Target) -> Client:
    """A client that may read and write."""
    return Client(under_test.url, under_test.authorize)


@pytest.fixture(scope="session")
def stranger(under_test: Target) -> Client:
    """A client that does not authenticate."""
    return Client(under_test.url, unsigned)


@pytest.fixture(scope="session")
def queries(api: Client) -> list[Query]:
    """The queries of the catalogue that is deployed, but those that only a token with the right claim can ask."""
    return [query for query in api.get("/queries").json["data"] if not claims_needed(query)]


@pytest.fixture(scope="session")
def commands(api: Client) -> list[str]:
    paths = api.get("/openapi.json").json["paths"]
    return [path.removeprefix("/commands/") for path in paths if path.startswith("/commands/")]

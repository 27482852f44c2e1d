"""A gateway that serves while the test runs."""

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.api.gateway import Gateway
from local.template import Function
from tests.component.support.gateway import connected, serving


@pytest.fixture
def told() -> list[str]:
    """The lines for the terminal."""
    return []


@pytest.fixture
def gateway(function: Function, told: list[str]) -> Iterator[Gateway]:
    with serving(function, print_line=told.append) as gateway:
        yield gateway


@pytest.fixture
def client(gateway: Gateway) -> Iterator[http.client.HTTPConnection]:
    with connected(gateway) as client:
        yield client


@pytest.fixture
def go(tmp_path: Path) -> Path:
    """The file that a function or task waits for."""
    return tmp_path / "go"

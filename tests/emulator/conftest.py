"""The built application in Lambda containers, on real servers of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.containers import engine
from local.containers.emulator import Emulator, running_emulator
from local.stack import Stack, running_stack
from tests.component.support.checkout import copy_project
from tests.support.missing_tool import skip_without_tool


@pytest.fixture(scope="session")
def docker_engine() -> None:
    """Every test that runs containers asks for it, directly or through another fixture."""
    try:
        engine.require()
    except engine.EngineMissing:
        skip_without_tool("in containers", "no Docker engine answers")


@pytest.fixture(scope="session")
def stack(docker_engine: None, new_folder: Callable[[str], Path]) -> Iterator[Stack]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMPLE_SIZE", "100")
        with running_stack(new_folder("emulator"), print) as stack:
            yield stack


@pytest.fixture(scope="session")
def project(new_folder: Callable[[str], Path]) -> Path:
    """A copy of this project to build, which has the catalogue of the tests."""
    return copy_project(new_folder("built")).folder


@pytest.fixture(scope="session")
def lambdas(stack: Stack, project: Path) -> Iterator[Emulator]:
    with running_emulator(stack, project) as lambdas:
        yield lambdas

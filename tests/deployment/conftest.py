"""Stacks that the SAM CLI deploys to an emulator of AWS, with functions and servers in containers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from local.containers.engine import EngineMissing
from local.deployment.ministack import Emulator, running_ministack
from tests.component.support.checkout import copy_project
from tests.support.missing_tool import skip_without_tool
from tests.support.root import ROOT


@pytest.fixture(scope="session")
def emulator(new_folder: Callable[[str], Path]) -> Iterator[Emulator]:
    with ExitStack() as exits:
        try:
            emulator = exits.enter_context(running_ministack(ROOT, new_folder("emulator")))
        except EngineMissing as reason:
            skip_without_tool("in containers", str(reason))
        yield emulator


@pytest.fixture(scope="session")
def project(new_folder: Callable[[str], Path]) -> Path:
    """A copy of the project, with the catalogue of the tests. Tests change it."""
    return copy_project(new_folder("deployed")).folder

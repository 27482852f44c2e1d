"""The built application in Lambda containers, on real servers of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.containers import engine
from local.containers.emulator import Emulator, emulator
from local.stack import Stack, up


@pytest.fixture(scope="session")
def stack(servers_folder: Path) -> Iterator[Stack]:
    engine.require()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMPLE_PRODUCTS", "100")
        with up(servers_folder / "emulator", print) as stack:
            yield stack


@pytest.fixture(scope="session")
def lambdas(stack: Stack) -> Iterator[Emulator]:
    with emulator(stack) as lambdas:
        yield lambdas

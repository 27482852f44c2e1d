"""The built application in Lambda containers, on real servers of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import engine
from local.sam import Sam, sam
from local.stack import Stack, up


@pytest.fixture(scope="session")
def stack(servers_folder: Path) -> Iterator[Stack]:
    try:
        engine.require()
    except engine.EngineMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the emulator tests need containers: {missing}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMPLE_PRODUCTS", "100")
        with up(servers_folder / "emulator", print) as stack:
            yield stack


@pytest.fixture(scope="session")
def application(stack: Stack) -> Iterator[Sam]:
    with sam(stack) as application:
        yield application

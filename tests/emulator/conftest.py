"""The built application in Lambda containers, on real servers of this machine."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import engine
from local.sam import Sam, sam
from local.stack import Stack, up


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    try:
        engine.require()
    except engine.EngineMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the emulator tests need containers: {missing}")
    # Not pytest's own folder: that is closed to other users, and PostgreSQL, started by root, runs as one.
    folder = Path(tempfile.mkdtemp(prefix="cacheaside-"))
    folder.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMPLE_PRODUCTS", "100")
        with up(folder, print) as stack:
            yield stack
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def application(stack: Stack) -> Iterator[Sam]:
    with sam(stack) as application:
        yield application

"""`make run` for the suite: in a folder of its own, so that it runs beside a developer's, on a free port."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from local.servers.processes import HOST
from tests.support.ports import unclaimed_port
from tests.support.root import ROOT

__all__ = ["running"]

_FOLDERS: Final = ("functions", "layers", "local")
# The first start initialises a database.
_START_S: Final = 120
_STOP_S: Final = 120


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """The URL of a stack that lives in `folder`, which its database's own user may enter, as long as the block."""
    for name in _FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "template.yaml", folder)
    port = unclaimed_port()
    own = {"PORT": str(port), "SAMPLE_PRODUCTS": "100", "PYTHONPATH": "layers/cacheaside:functions:."}
    inherited = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    with (folder / "run.log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "local", "run"], cwd=folder, env=inherited | own, stdout=log, stderr=log
        )
        try:
            _await(process, folder)
            yield f"http://{HOST}:{port}"
        finally:
            process.terminate()
            process.wait(_STOP_S)


def _await(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Return once it takes requests; those that come before the functions are imported wait."""
    deadline = time.monotonic() + _START_S
    while not (folder / ".local/endpoints.env").exists():
        started = process.poll() is None and time.monotonic() < deadline
        assert started, f"`make run` did not start:\n{(folder / 'run.log').read_text()}"
        time.sleep(0.05)

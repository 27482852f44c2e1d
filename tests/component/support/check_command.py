"""The command `python -m local check`, which `make check` runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.root import FUNCTIONS, ROOT

__all__ = ["check"]


def check(folder: Path = ROOT, **environment: str) -> tuple[int, str, str]:
    """Run the command in `folder`, and return exit status, stdout and stderr."""
    inherited = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    done = subprocess.run(
        [sys.executable, "-m", "local", "check"],
        cwd=folder,
        env=inherited | {"PYTHONPATH": f"{ROOT}/layers/cacheaside:{FUNCTIONS}:{ROOT}"} | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr

"""Runs the tools that have an environment of their own: SAM CLI, cfn-lint and checkov."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

from tests.template.support.stack import ROOT

# Absolute, because a tool may run in another folder. Without bytecode the imports take half of a tool's time.
_BYTECODE: Final = {"PYTHONPYCACHEPREFIX": str(ROOT / ".local" / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}


def run(
    program: str | Path, *arguments: str | Path, folder: Path = ROOT, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a program in `folder`, by default the project's, and return its exit code and output."""
    command = [str(program), *map(str, arguments)]
    environment = os.environ | _BYTECODE | variables
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.template.choices import MODES, name_of, parameters_of
from tests.template.stack import ROOT, Stack


@pytest.fixture(scope="session", params=MODES, ids=name_of)
def stack(request: pytest.FixtureRequest) -> Stack:
    """The stack in each of its modes."""
    return Stack(**parameters_of(request.param))


@pytest.fixture(scope="session")
def default() -> Stack:
    """The stack as `sam deploy` makes it when nobody chooses anything."""
    return Stack()


@pytest.fixture(scope="session")
def sam() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs SAM CLI in the project's folder."""
    beside = ROOT / ".venv-sam" / "bin" / "sam"
    program = os.environ.get("SAM") or (str(beside) if beside.exists() else shutil.which("sam"))
    assert program, "SAM CLI is missing: `make test` installs it into .venv-sam; or set SAM to its path"

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "eu-west-1"}
        command = [program, *map(str, arguments)]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    return run

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from functools import partial

import pytest

from tests.template.support import tools
from tests.template.support.choices import MODES, name_of, parameters_of
from tests.template.support.stack import ROOT, Stack, stack_of


@pytest.fixture(scope="session", params=MODES, ids=name_of)
def stack(request: pytest.FixtureRequest) -> Stack:
    """The stack in each of its modes."""
    return stack_of(**parameters_of(request.param))


@pytest.fixture(scope="session")
def default() -> Stack:
    """The stack with the default of every parameter."""
    return stack_of()


@pytest.fixture(scope="session")
def sam() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs SAM CLI in the project's folder."""
    beside = ROOT / ".venv-sam" / "bin" / "sam"
    program = os.environ.get("SAM") or (str(beside) if beside.exists() else shutil.which("sam"))
    assert program, "SAM CLI is missing: `make test` installs it into .venv-sam; or set SAM to its path"

    return partial(tools.run, program, SAM_CLI_TELEMETRY="0", AWS_DEFAULT_REGION="eu-west-1")

"""Stacks that the SAM CLI deploys to an emulator of AWS, with functions and servers in containers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.containers import engine
from local.deployment.ministack import Emulator, running_ministack
from tests.component.support.checkout import copy_project
from tests.support.missing_tool import skip_without_tool
from tests.support.root import ROOT

# No test outlasts its ttl, so only an invalidation makes a change visible.
LASTING = """-- summary = "Lasting"
-- ttl     = "1h"
-- returns = "one"
-- tags    = ["products:{id}"]
-- params.id = { type = "integer", min = 1, example = 42 }
select name from products where id = %(id)s
"""


@pytest.fixture(scope="session")
def emulator(new_folder: Callable[[str], Path]) -> Iterator[Emulator]:
    try:
        engine.require()
    except engine.EngineMissing:
        skip_without_tool("in containers", "no Docker engine answers")
    with running_ministack(ROOT, new_folder("emulator")) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def project(new_folder: Callable[[str], Path]) -> Path:
    """A copy of the project, with the catalogue of the tests and a query whose answer is kept for an hour."""
    folder = copy_project(new_folder("deployed")).folder
    (folder / "functions/catalogue/queries/lasting.sql").write_text(LASTING)
    return folder

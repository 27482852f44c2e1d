"""The functions with the catalogue of the tests, to which a measurement adds queries."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from local.template import Function

__all__ = ["FUNCTIONS", "functions_folder", "with_code"]

# Its code is that of functions/. The catalogue in functions/ is the user's, and may hold anything.
FUNCTIONS: Final = Path(__file__).resolve().parent.parent / "tests" / "functions"


def functions_folder(folder: Path, queries: Mapping[str, str]) -> Path:
    """Make `folder`, whose catalogue is that of the tests and `queries`: a file's text by its name. Returns it."""
    folder.mkdir()
    for each in FUNCTIONS.iterdir():
        if each.name != "catalogue":
            (folder / each.name).symlink_to(each)
    shutil.copytree(FUNCTIONS / "catalogue", folder / "catalogue")
    for name, text in queries.items():
        (folder / "catalogue" / "queries" / f"{name}.sql").write_text(text)
    return folder


def with_code(function: Function, folder: Path) -> Function:
    """Return `function` with its code in `folder`, and the same layers."""
    _, *layers = function.paths
    return replace(function, paths=(folder, *layers))

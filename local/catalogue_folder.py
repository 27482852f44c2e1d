"""The folder of the catalogue."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from local.errors import LocalError
from migrate.upgrade import FUNCTIONS

__all__ = ["CATALOGUE", "catalogue_folder"]

# Beside the functions that are imported: so it is the one that they serve.
CATALOGUE: Final = FUNCTIONS / "catalogue"


def catalogue_folder() -> Path:
    """Return the folder that CATALOGUE names, else this checkout's. Raises `LocalError` if it is no folder."""
    folder = Path(os.environ.get("CATALOGUE") or CATALOGUE)
    if not folder.is_dir() and folder != CATALOGUE:
        raise LocalError(f"{folder} is no folder: CATALOGUE is one such as functions/catalogue, with queries/ in it")
    return folder

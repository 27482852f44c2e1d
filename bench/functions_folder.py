"""A folder with the code of the functions, and a catalogue to which a measurement adds queries."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["functions_folder"]

_SHIPPED: Final = Path(__file__).resolve().parent.parent / "functions"


def functions_folder(folder: Path, queries: Mapping[str, str]) -> Path:
    """Make `folder`, whose catalogue is that of the shop and `queries`: a file's text by its name. Returns it."""
    folder.mkdir()
    for each in _SHIPPED.iterdir():
        if each.name != "catalogue":
            (folder / each.name).symlink_to(each)
    shutil.copytree(_SHIPPED / "catalogue", folder / "catalogue")
    for name, text in queries.items():
        (folder / "catalogue" / "queries" / f"{name}.sql").write_text(text)
    return folder

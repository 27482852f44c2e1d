"""The sample that the catalogue is shipped with, and how it is taken out.

`sample/files.sha256` lists its files, as `sha256sum` does in the folder of the catalogue. A file that differs from the
list is the user's. `python -m local.adoption.sample` writes the list anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from local.catalogue_folder import CATALOGUE
from local.errors import LocalError
from local.terminal import short_path

__all__ = ["LIST", "ShippedSample", "listed", "read_sample"]

LIST: Final = Path("sample/files.sha256")


@dataclass(frozen=True)
class ShippedSample:
    """The files of the sample that are as shipped, and those that were edited, which stay."""

    catalogue: Path
    shipped: tuple[Path, ...]
    edited: tuple[Path, ...]

    @property
    def is_there(self) -> bool:
        return (self.catalogue / LIST).exists()

    def take_out(self) -> None:
        """Remove the shipped files, if there are any. The folder of the list goes last: this can be repeated."""
        if not self.is_there:
            return
        for path in self.shipped:
            path.unlink(missing_ok=True)
        shutil.rmtree(self.catalogue / LIST.parent)


def read_sample(catalogue: Path) -> ShippedSample:
    """Return the sample in `catalogue`, without files if there is none. Raises `LocalError` if a file is in its way."""
    if not (catalogue / LIST.parent).is_dir():
        return ShippedSample(catalogue, (), ())
    if not (catalogue / LIST).exists():
        raise LocalError(
            f"{short_path(catalogue / LIST)} is missing, which lists the files of the sample: remove them yourself, "
            "with the folder sample/, and start again"
        )
    shipped: list[Path] = []
    edited: list[Path] = []
    for line in (catalogue / LIST).read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        path = catalogue / name
        if path.exists():
            (shipped if _digest(path) == digest else edited).append(path)
    in_the_way = [
        path
        for folder in ("migrations", LIST.parent.name)
        for path in sorted((catalogue / folder).rglob("*"))
        if path.is_file() and path not in shipped and path != catalogue / LIST
    ]
    if in_the_way:
        raise LocalError(
            f"{', '.join(str(short_path(path)) for path in in_the_way)}: not of the sample as shipped, and cannot stay "
            "without it: move such files to another folder, or restore them, and start again"
        )
    return ShippedSample(catalogue, tuple(shipped), tuple(edited))


def listed(catalogue: Path) -> Iterator[str]:
    """Yield the lines of `LIST` for the files that are in `catalogue` now."""
    for path in sorted(catalogue.rglob("*")):
        name = path.relative_to(catalogue)
        if path.is_file() and name != LIST and "__pycache__" not in name.parts:
            yield f"{_digest(path)}  {name.as_posix()}"


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    (CATALOGUE / LIST).write_text("".join(f"{line}\n" for line in listed(CATALOGUE)), encoding="utf-8")

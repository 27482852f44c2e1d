"""The SAM CLI: where it is, and the CPU of this machine as it is called there."""

import os
import platform
import shutil
from pathlib import Path

from local.errors import LocalError

__all__ = ["find_sam", "host_architecture"]

_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


def find_sam(root: Path) -> Path:
    """Return the program: that of SAM=…, of .venv-sam in the checkout `root`, or on PATH. Raises `LocalError`."""
    beside = root / ".venv-sam" / "bin" / "sam"
    program = os.environ.get("SAM") or (beside if beside.exists() else shutil.which("sam"))
    if not program:
        raise LocalError("the SAM CLI is not installed: run `make .venv-sam`, or set SAM to its path")
    return Path(program)


def host_architecture() -> str:
    """Return the template's Architecture for this CPU. Raises `LocalError` if Lambda does not run on it."""
    architecture = _ARCHITECTURES.get(platform.machine().lower())
    if architecture is None:
        raise LocalError(f"Lambda does not run on the CPU of this machine, {platform.machine()}")
    return architecture

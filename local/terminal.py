"""Text for the person at the terminal."""

import contextlib
from collections.abc import Callable
from pathlib import Path

__all__ = ["PrintLine", "one_line", "print_line", "short_path"]

PrintLine = Callable[[str], None]


def print_line(text: str) -> None:
    with contextlib.suppress(OSError):  # a closed terminal must not prevent an orderly stop
        print(text, flush=True)


def one_line(error: Exception) -> str:
    """Return the error's text without line breaks."""
    return " ".join(str(error).split())


def short_path(path: Path) -> Path:
    """Return `path` relative to the current folder if it lies in it, else absolute."""
    path = path.resolve()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path

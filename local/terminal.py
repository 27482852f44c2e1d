"""Text for the person at the terminal."""

import contextlib
from collections.abc import Callable
from pathlib import Path

__all__ = ["PrintLine", "one_line", "print_line", "printable", "short_path"]

PrintLine = Callable[[str], None]


def print_line(text: str) -> None:
    with contextlib.suppress(OSError):  # a closed terminal must not prevent an orderly stop
        print(text, flush=True)


def one_line(error: object) -> str:
    """Return the text of an error without line breaks and tabs."""
    return " ".join(str(error).split())


def printable(text: str, keep: str = "\n") -> str:
    """Return `text` with control characters escaped, except those in `keep`: a value must not control the terminal."""
    return "".join(each if each.isprintable() or each in keep else ascii(each)[1:-1] for each in text)


def short_path(path: Path) -> Path:
    """Return `path` relative to the current folder if it lies in it, else absolute."""
    path = path.resolve()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path

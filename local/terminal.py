"""Text for the person at the terminal."""

import os
import select
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

__all__ = ["PrintLine", "one_line", "print_line", "printable", "short_path"]

PrintLine = Callable[[str], None]


_PATIENCE_S: Final = 0.3


class _Output:
    """Prints lines to standard output, with control characters escaped: a line may have a name of a database or a file.

    If the output is not read, as after Ctrl-S, or closed, lines are left out. Else each request would wait to print its
    line, and with many of them no more would be answered.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left_out = 0

    def __call__(self, text: str) -> None:
        text = printable(text, keep="\n\t")
        with self._lock:
            if sys.stdout is None:
                return
            if not _takes_text(sys.stdout, 0 if self._left_out else _PATIENCE_S):
                self._left_out += 1
                return
            try:
                print(f"({self._left_out} lines were left out)\n{text}" if self._left_out else text, flush=True)
            except BrokenPipeError:  # Python would try again at its end, and fail
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            except OSError:  # a full disk, or a terminal that was closed, must not prevent an orderly stop
                return
            self._left_out = 0


def _takes_text(stream: TextIO, patience_s: float) -> bool:
    try:
        return bool(select.select([], [stream], [], patience_s)[1])
    except ValueError:  # a stream without a file, in a test
        return True


print_line = _Output()


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

"""What a command prints without a traceback: a `LocalError`, or a sentence about an error of the system."""

from __future__ import annotations

import os
from errno import (
    EACCES,
    EADDRINUSE,
    EADDRNOTAVAIL,
    EAGAIN,
    EDQUOT,
    EEXIST,
    EISDIR,
    ELOOP,
    EMFILE,
    ENAMETOOLONG,
    ENFILE,
    ENOENT,
    ENOMEM,
    ENOSPC,
    ENOTDIR,
    EPERM,
    EROFS,
)
from pathlib import Path
from typing import Final

__all__ = ["LocalError", "no_space", "sentence"]

_ADVICE: Final = {
    (ENOSPC, EDQUOT): "free some space and start again",
    (EACCES, EPERM, EROFS): "give your user the right to write it, or work in a copy that your user owns",
    (EEXIST, EISDIR, ELOOP, ENOTDIR): "a file, a folder or a link is in the place of another: move it away",
    (ENOENT,): "this, or a folder above it, is missing",
    (ENAMETOOLONG,): "move the checkout to a folder with a shorter path",
    (EMFILE, ENFILE): "allow more open files, for example with `ulimit -n 4096`",
    (EAGAIN, ENOMEM): "end other programs, or allow more processes and memory with `ulimit`",
    (EADDRINUSE, EADDRNOTAVAIL): "no port is free: end programs that hold many connections",
}


class LocalError(Exception):
    """The command cannot continue. The message says what is wrong and what to change."""


def no_space(folder: Path) -> str:
    """Return what to print if a server found the disk of `folder` full."""
    return _described(OSError(ENOSPC, os.strerror(ENOSPC), str(folder)))


def sentence(error: Exception) -> str | None:
    """Return what to print for `error`, or None if only its traceback helps: then the fault is ours."""
    if isinstance(error, LocalError):
        return str(error)
    if isinstance(error, MemoryError) or "can't start new thread" in str(error):
        error = OSError(ENOMEM, os.strerror(ENOMEM))
    if not isinstance(error, OSError):
        return None
    if error.filename is None and not any(error.errno in numbers for numbers in _ADVICE):
        return None
    return _described(error)


def _described(error: OSError) -> str:
    advice = next((advice for numbers, advice in _ADVICE.items() if error.errno in numbers), None)
    place = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    return f"{place}{error.strerror}{f'; {advice}' if advice else ''}"

"""What a command prints in place of a traceback."""

import errno
import os
import re

import pytest

from local.errors import LocalError, sentence


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (LocalError("do this"), "do this"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/x/.local"),
            "/x/.local: Permission denied; give your user the right to write it, or work in a copy that your user owns",
        ),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files; allow more open files.*`ulimit -n 4096`"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "Resource .*; end other programs, or .*"),
        (MemoryError(), "Cannot allocate memory; end other programs, or .*"),
        (RuntimeError("can't start new thread"), "Cannot allocate memory; end other programs, or .*"),
        (OSError(errno.EIO, "Input/output error", "/x"), "/x: Input/output error"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), b"/x"), "/x: No space .*; free some space and start again"),
    ],
)
def test_an_error_of_the_machine_says_what_to_do(error: Exception, expected: str) -> None:
    assert (said := sentence(error))
    assert re.fullmatch(expected, said), said


@pytest.mark.parametrize("error", [ValueError("x"), ConnectionResetError(errno.ECONNRESET, "Connection reset")])
def test_a_fault_of_ours_keeps_its_traceback(error: Exception) -> None:
    assert sentence(error) is None

"""Standard output as Lambda's runtime client sets it up, so that a handler in this process pays for its log."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from awslambdaric.bootstrap import Unbuffered

__all__ = ["unbuffered_log"]


@contextmanager
def unbuffered_log() -> Iterator[None]:
    """Write each log line to the system at once during the block, into a file that keeps nothing."""
    stdout = sys.stdout
    with open(os.devnull, "w") as log:  # noqa: PTH123
        sys.stdout = Unbuffered(log)
        try:
            yield
        finally:
            sys.stdout = stdout

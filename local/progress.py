"""A progress bar: one line that grows on a terminal; elsewhere, as in a CI log, one line per quarter."""

import sys
from contextlib import suppress
from typing import TextIO

__all__ = ["Progress"]

WIDTH = 30


class Progress:
    def __init__(self, what: str, stream: TextIO | None = None) -> None:
        self._what = what
        self._stream: TextIO | None = stream or sys.stderr  # None if Python was started without one
        self._shown = -1

    def __call__(self, done: int, total: int) -> None:
        with suppress(OSError):  # a closed terminal stops no work
            self._show(done, total)

    def _show(self, done: int, total: int) -> None:
        if self._stream is None:
            return
        percent = 100 * done // max(total, 1)
        step = 1 if self._stream.isatty() else 25
        if percent // step == self._shown:
            return
        self._shown = percent // step
        count = f"{percent:3} %  {done:,} of {total:,}"
        if self._stream.isatty():
            bar = ("█" * (WIDTH * percent // 100)).ljust(WIDTH, "░")
            end = "\n" if done >= total else ""
            self._stream.write(f"\r{self._what}  {bar} {count}\x1b[K{end}")
        else:
            self._stream.write(f"{self._what}  {count}\n")
        self._stream.flush()

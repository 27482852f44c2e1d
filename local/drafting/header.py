"""Lines of the header of a catalogue's file."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence

__all__ = ["with_last_line", "with_line"]


def with_line(text: str, number: int, line: str) -> str:
    """Return `text` with `line` in place of the setting that begins at line `number` and may take several."""
    lines = text.split("\n")  # not splitlines: a string may have U+2028
    end = number
    while end < len(lines) and lines[end].startswith("--") and not _is_toml(lines[number - 1 : end]):
        end += 1
    lines[number - 1 : end] = [line]
    return "\n".join(lines)


def with_last_line(text: str, line: str) -> str:
    """Return `text` with `line` at the end of the header."""
    lines = text.split("\n")
    lines.insert(next((at for at, each in enumerate(lines) if not each.startswith("--")), len(lines)), line)
    return "\n".join(lines)


def _is_toml(lines: Sequence[str]) -> bool:
    try:
        tomllib.loads("\n".join(line.strip().removeprefix("--") for line in lines))
    except tomllib.TOMLDecodeError:
        return False
    return True

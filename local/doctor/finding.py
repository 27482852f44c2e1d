"""The result of a check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Finding", "Mark", "NotChecked", "fine", "unknown", "wrong"]


class Mark(Enum):
    FINE = "✓"
    WRONG = "✗"
    UNKNOWN = "?"


@dataclass(frozen=True)
class Finding:
    mark: Mark
    text: str  # one line; for WRONG it says what to change


class NotChecked(Exception):
    """A check could not be made. The message says why."""


def fine(text: str) -> Finding:
    return Finding(Mark.FINE, text)


def wrong(text: str) -> Finding:
    return Finding(Mark.WRONG, text)


def unknown(text: str) -> Finding:
    return Finding(Mark.UNKNOWN, text)

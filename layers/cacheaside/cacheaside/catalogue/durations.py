"""Durations in the catalogue: a whole number and a unit, such as "500ms", "60s", "10m", "1h" or "1d"."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["parse_duration_ms"]

_MILLISECONDS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION: Final = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")


def parse_duration_ms(text: object) -> int:
    """Return the duration in milliseconds. Raises ValueError, which explains the notation, if `text` is no duration."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(
            f'{text!r} is not a duration; write a whole number and a unit, such as "500ms", "60s" or "10m"'
        )
    return int(match[1]) * _MILLISECONDS[match[2]]

"""Durations for people."""

from __future__ import annotations

from typing import Final

__all__ = ["duration", "milliseconds"]

_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def duration(ms: float) -> str:
    """Return a duration with its two largest units: `350 ms`, `42 s`, `9 m 58 s`. A negative one is 0."""
    if ms < 1_000:
        return f"{max(0, int(ms))} ms" if ms > 0 else "0 s"
    left, parts = int(ms // 1000), []
    for unit, seconds in _UNITS:
        count, left = divmod(left, seconds)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def milliseconds(ms: float | None) -> str:
    """Return a time in milliseconds for a table, or a dash if there is none."""
    if ms is None:
        return "–"
    return f"{ms:,.0f}" if ms >= 100 else f"{ms:.1f}"

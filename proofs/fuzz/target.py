"""A target: what is drawn at random, and what must hold for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from proofs.fuzz.strategies import Strategy

__all__ = ["Target"]


class Target(NamedTuple):
    """`check` raises, whatever error, if a property does not hold for a case. Its `repr` shows a case in full."""

    name: str
    cases: Strategy[Any]
    check: Callable[[Any], object]
    # How much more memory one case may take, at its peak. None: it is not measured.
    memory_mb: int | None = None

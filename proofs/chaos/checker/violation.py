"""What a checker finds, and the limits that it judges by."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits", "Violation"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What is promised about time, in seconds, and how many rows a read of all has."""

    rows: int
    longest_s: float
    recovered_s: float


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise, and the entries of the record that prove it."""

    promise: str
    text: str
    proof: tuple[object, ...] = ()

    def __str__(self) -> str:
        return "\n".join([f"{self.promise}: {self.text}", *(f"    {entry}" for entry in self.proof)])

"""The result of a verification, and the words in which a stale answer is logged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cacheaside.catalogue.parameters import Parameter, Value, canonical
from cacheaside.reading.question import Question

__all__ = ["StaleAnswer", "Verification", "loggable"]


@dataclass(frozen=True, slots=True)
class StaleAnswer:
    """An answer that the cache can serve, although the database has another one. `age_s`: since it was loaded.

    `parameters` can be logged. With them the engineer on call can ask the same question again.
    """

    query: str
    parameters: Mapping[str, Any]
    key: str
    age_s: float

    def __str__(self) -> str:
        parameters = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        return f"{self.query}({parameters}), {self.age_s:.0f} s old"


@dataclass(frozen=True, slots=True)
class Verification:
    """The number of entries that were compared with the database, and the stale ones among them.

    `unchecked` entries were read lately too, but not compared: they were too many, or their loads too slow.
    It is at least 1 if the cache has too many keys to find all that were read.
    """

    checked: int
    unchecked: int = 0
    stale: tuple[StaleAnswer, ...] = ()


def loggable(question: Question) -> dict[str, Any]:
    """Return the given parameters as JSON values. Text and claims may be personal: only their length stays."""
    declared = question.query.parameters
    return {name: _loggable(declared[name], value) for name, value in question.values.items() if value is not None}


def _loggable(declared: Parameter, value: Value) -> Any:
    if declared.type != "text" and not declared.claim:
        return canonical(value)
    if isinstance(value, list):
        return [f"<{len(str(text))} characters>" for text in value]
    return f"<{len(str(value))} characters>"

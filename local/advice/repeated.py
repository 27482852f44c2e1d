"""Normalises many statements quickly: of those that differ only in values, the first alone is normalised whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from itertools import zip_longest
from typing import Any, Final, NamedTuple

from local.advice.normalised import Normalised, normalise

__all__ = ["Normaliser"]

# What quotes in another way, so that positions of values are not known without reading it all.
_UNUSUAL: Final = re.compile(r"""[\\\0]|--|/\*|\$\D|\$\Z""", re.ASCII)
_VALUE: Final = re.compile(
    r"\"[^\"]*\"|([\w&]?)'([^']*(?:''[^']*)*)'|(?<![\w$.])((?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])|(?<![\w$])\$(\d+)",
    re.ASCII,
)


class _Shape(NamedTuple):
    """What statements have in common that differ only in values."""

    key: str
    slots: tuple[tuple[int, int, bool], ...]  # the first and last of its values, and whether it is a list
    fixed: tuple[tuple[int, Any], ...]  # values that are a part of the key, as in ORDER BY 1


class Normaliser:
    """Remembers the shapes of statements."""

    def __init__(self) -> None:
        self._shapes: dict[str, _Shape | None] = {}

    def __call__(self, sql: str, given: Mapping[int, str | None]) -> tuple[str, list[Any], Normalised | None]:
        """Return the key, the value of each slot, and the statement as `normalise` returns it if the shape is new."""
        if _UNUSUAL.search(sql):
            return self._whole(sql, given)
        found: list[Any] = []
        prefixes: set[str] = set()

        def mark(match: re.Match[str]) -> str:
            prefix, text, number, parameter = match.groups()
            if text is not None:
                prefixes.add(prefix)
                found.append(text.replace("''", "'"))
                return "\0s"
            if number is not None:
                is_whole = number.isdecimal()
                found.append(int(number) if is_whole else Decimal(number))
                return "\0i" if is_whole else "\0d"
            if parameter is not None:
                found.append(given.get(int(parameter)))
            return match[0]

        skeleton = _VALUE.sub(mark, sql)
        if any(prefixes):  # as of e'…' and x'…'
            return self._whole(sql, given)
        if skeleton in self._shapes:
            shape = self._shapes[skeleton]
            if shape is None or any(found[at] != value for at, value in shape.fixed):
                return self._whole(sql, given)
            return shape.key, _values(shape, found), None
        key, values, whole = self._whole(sql, given)
        shape = _shape(whole, key, found)
        sizes = [end - begin for begin, end, _ in shape.slots]
        is_right = all(sizes) and sum(sizes) + len(shape.fixed) == len(found)
        self._shapes[skeleton] = shape if is_right and _values(shape, found) == values else None
        return key, values, whole

    def _whole(self, sql: str, given: Mapping[int, str | None]) -> tuple[str, list[Any], Normalised]:
        whole = normalise(sql, given)
        return whole.key, [_hashable(slot.value) for slot in whole.slots], whole


def _shape(whole: Normalised, key: str, found: list[Any]) -> _Shape:
    slots, fixed, at = list[tuple[int, int, bool]](), list[tuple[int, Any]](), 0
    for text, slot in zip_longest(whole.texts, whole.slots):
        begin = at + _count(text)
        fixed += list(enumerate(found))[at:begin]
        if slot:
            at = begin + _count(slot.source)
            slots.append((begin, at, slot.template in ("= any ({})", "<> all ({})")))
    return _Shape(key, tuple(slots), tuple(fixed))


def _count(text: str) -> int:
    return sum(match.lastindex is not None for match in _VALUE.finditer(text))


def _values(shape: _Shape, found: list[Any]) -> list[Any]:
    return [
        (None if None in found[begin:end] else tuple(found[begin:end])) if is_list else found[begin]
        for begin, end, is_list in shape.slots
    ]


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value

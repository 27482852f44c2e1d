"""How cases are drawn. The names and their meaning are those of Hypothesis, whose draws take fifty times as long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from proofs.fuzz.choices import Choices

__all__ = [
    *("Strategy", "binary", "booleans", "builds", "characters", "dates", "datetimes", "dictionaries"),
    *("fixed_dictionaries", "integers", "just", "lists", "none", "one_of", "recursive", "sampled_from", "text"),
    *("tuples", "uuids"),
]

_T = TypeVar("_T")
_S = TypeVar("_S")
_LEVELS: Final = 3


class Strategy(Generic[_T]):
    """Draws values: `draw` makes one of choices."""

    def __init__(self, draw: Callable[[Choices], _T]) -> None:
        self.draw = draw

    def map(self, change: Callable[[_T], _S]) -> Strategy[_S]:
        return Strategy(lambda choices: change(self.draw(choices)))

    def flatmap(self, then: Callable[[_T], Strategy[_S]]) -> Strategy[_S]:
        return Strategy(lambda choices: then(self.draw(choices)).draw(choices))

    def __or__(self, other: Strategy[_S]) -> Strategy[_T | _S]:
        return one_of(self, other)


def just(value: _T) -> Strategy[_T]:
    return Strategy(lambda _: value)


def none() -> Strategy[None]:
    return just(None)


def sampled_from(options: Iterable[_T]) -> Strategy[_T]:
    each = tuple(options)
    return Strategy(lambda choices: choices.of(each))


def booleans() -> Strategy[bool]:
    return sampled_from((False, True))


def one_of(*options: Strategy[Any]) -> Strategy[Any]:
    return Strategy(lambda choices: choices.of(options).draw(choices))


def builds(make: Callable[..., _T], *parts: Strategy[Any]) -> Strategy[_T]:
    return Strategy(lambda choices: make(*[part.draw(choices) for part in parts]))


def tuples(*parts: Strategy[Any]) -> Strategy[tuple[Any, ...]]:
    return builds(lambda *values: values, *parts)


def lists(items: Strategy[_T], *, min_size: int = 0, max_size: int) -> Strategy[list[_T]]:
    return Strategy(lambda choices: [items.draw(choices) for _ in range(choices.size(min_size, max_size))])


def dictionaries(names: Strategy[_S], values: Strategy[_T], *, max_size: int) -> Strategy[dict[_S, _T]]:
    return lists(tuples(names, values), max_size=max_size).map(dict)


def fixed_dictionaries(
    always: Mapping[Any, Strategy[Any]], *, optional: Mapping[Any, Strategy[Any]]
) -> Strategy[dict[Any, Any]]:
    def draw(choices: Choices) -> dict[Any, Any]:
        there = [name for name in optional if choices.once_in(2)]
        parts = {**always, **{name: optional[name] for name in there}}
        return {name: part.draw(choices) for name, part in parts.items()}

    return Strategy(draw)


def recursive(base: Strategy[Any], extend: Callable[[Strategy[Any]], Strategy[Any]]) -> Strategy[Any]:
    found = base
    for _ in range(_LEVELS):
        found = one_of(base, extend(found))
    return found


def integers(at_least: int, at_most: int) -> Strategy[int]:
    """Any, one of the ends, or near the end that is nearer to 0."""
    span = at_most - at_least + 1
    nearest = min(max(0, at_least), at_most) - at_least

    def draw(choices: Choices) -> int:
        kind = choices.below(4) if span > 256 else 3
        if kind == 2:
            return choices.of((at_least, at_most))
        offset = nearest + choices.below(256) if kind < 2 else choices.below(span)
        return at_least + offset % span

    return Strategy(draw)


def binary(*, min_size: int = 0, max_size: int) -> Strategy[bytes]:
    return lists(Strategy(lambda choices: choices.below(256)), min_size=min_size, max_size=max_size).map(bytes)


def characters() -> Strategy[str]:
    """Return all that UTF-8 has. So half a surrogate pair is not among them."""

    def draw(choices: Choices) -> str:
        number = choices.below(choices.of((0x80, 0x800, 0x1_0000, 0x11_0000)))
        return "\ufffd" if 0xD800 <= number < 0xE000 else chr(number)

    return Strategy(draw)


def text(each: Strategy[str], *, min_size: int = 0, max_size: int) -> Strategy[str]:
    return lists(each, min_size=min_size, max_size=max_size).map("".join)


def dates() -> Strategy[date]:
    return integers(1, date.max.toordinal()).map(date.fromordinal)


def datetimes() -> Strategy[datetime]:
    times = builds(time, *(integers(0, most) for most in (23, 59, 59, 999_999)))
    return builds(datetime.combine, dates(), times)


def uuids() -> Strategy[UUID]:
    return binary(min_size=16, max_size=16).map(lambda data: UUID(bytes=data))
